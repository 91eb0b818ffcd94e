/* Counts what an emulated program executes between two marks of its own: a plugin of QEMU.
 *
 *     qemu-aarch64 -plugin plugin.so,out=PATH,l1=32768:2:64,l2=1048576:16:64 PROGRAM
 *
 * The program marks with a system call that there is none of, syscall(4077, k):
 *     0  count from now on: all code is translated anew, with counters in it
 *     1  start: all counters are zero; caches keep what they hold
 *     2  stop: write the counters to PATH.0, at the next time to PATH.1, and so on
 *
 * A line of such a file is a block of code that was executed, its figures in decimal
 * and its code in hexadecimal:
 *     ADDRESS INSTRUCTIONS EXECUTIONS LOADED STORED L1 L2 L3 WRITTEN CODE
 * bytes loaded and stored, misses of each level of cache, and lines that the last
 * level wrote back to memory. Caches are write-back, allocate on reads and writes and
 * replace the line used longest ago. The first level sees virtual addresses; the others
 * see physical ones, as on the cores that are modelled, in which the pages of a process
 * lie as if at random. Nothing is prefetched.
 *
 * One thread is counted exactly; of several, updates can be lost.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used here of QEMU's interface for plugins, the same in all its versions. */
typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum { NO_REGISTERS = 0, READS_AND_WRITES = 3 };
typedef void (*on_ready)(qemu_plugin_id_t);
typedef void (*on_translation)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*on_execution)(unsigned, void *);
typedef void (*on_access)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *);
typedef void (*on_syscall)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
void qemu_plugin_reset(qemu_plugin_id_t, on_ready);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, on_translation);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution, int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, on_access, int, int, void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, on_syscall);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = PLUGIN_VERSION;

enum { MARK = 4077, RESET = 0, START = 1, STOP = 2, LEVELS = 3, PAGE_BITS = 12 };

typedef struct {
  uint64_t line;  /* address over line size, plus one: zero is an empty place */
  bool dirty;
} place;

typedef struct {
  unsigned ways, shift;
  uint64_t sets;
  place *places; /* of a set, the one used last comes first */
} cache;

typedef struct block {
  struct block *next;
  uint64_t address, instructions, executions, loaded, stored, misses[LEVELS], written;
  char *code;
} block;

static cache levels[LEVELS];
static int level_count;
static block *blocks;
static bool counting;
static char output[4096];
static int regions;

/* Put a line in front of its set; whether it was there. What had to leave is in `victim`. */
static bool touch(cache *c, uint64_t address, bool store, place *victim) {
  uint64_t line = (address >> c->shift) + 1;
  place *set = c->places + (line % c->sets) * c->ways;
  unsigned way = 0;
  while (way + 1 < c->ways && set[way].line != line) way++;
  bool hit = set[way].line == line;
  place kept = {line, store || (hit && set[way].dirty)};
  *victim = hit ? (place){0, false} : set[way];
  memmove(set + 1, set, way * sizeof *set);
  set[0] = kept;
  return hit;
}

/* The physical address: one page each, scattered by a mixing that can be undone. */
static uint64_t physical(uint64_t address) {
  uint64_t mask = (UINT64_C(1) << (64 - PAGE_BITS)) - 1, page = address >> PAGE_BITS;
  page = (page ^ (page >> 17)) * UINT64_C(0x9E3779B97F4A7C15) & mask;
  page = (page ^ (page >> 23)) * UINT64_C(0xBF58476D1CE4E5B9) & mask;
  return (page ^ (page >> 26)) << PAGE_BITS | (address & ((1u << PAGE_BITS) - 1));
}

static void access_level(int level, uint64_t address, bool store, block *b, bool counted) {
  if (level == level_count) {
    if (store) b->written++;
    return;
  }
  place victim;
  cache *c = &levels[level];
  if (level == 1) address = physical(address);
  if (!touch(c, address, store, &victim)) {
    if (counted) b->misses[level]++;
    /* A line that is written back arrives whole; nothing is read for it. */
    if (counted) access_level(level + 1, address, false, b, true);
  }
  if (victim.dirty) access_level(level + 1, (victim.line - 1) << c->shift, true, b, false);
}

static void accessed(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  (void)cpu;
  block *b = data;
  uint64_t size = UINT64_C(1) << qemu_plugin_mem_size_shift(info);
  bool store = qemu_plugin_mem_is_store(info);
  if (store) b->stored += size;
  else b->loaded += size;
  if (!level_count) return;
  uint64_t first = address >> levels[0].shift, last = (address + size - 1) >> levels[0].shift;
  for (uint64_t line = first; line <= last; line++)
    access_level(0, line << levels[0].shift, store, b, true);
}

static void executed(unsigned cpu, void *data) {
  (void)cpu;
  ((block *)data)->executions++;
}

static char *code_of(const struct qemu_plugin_tb *tb, size_t count) {
  char *text = malloc(count * 8 + 1), *end = text;
  for (size_t i = 0; i < count; i++) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
    const uint8_t *bytes = qemu_plugin_insn_haddr(instruction);
    size_t size = qemu_plugin_insn_size(instruction);
    for (size_t k = 0; bytes && k < size && k < 4; k++) end += sprintf(end, "%02x", bytes[k]);
  }
  *end = 0;
  return text;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  size_t count = qemu_plugin_tb_n_insns(tb);
  block *b = calloc(1, sizeof *b);
  b->address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
  b->instructions = count;
  b->code = code_of(tb, count);
  b->next = blocks;
  blocks = b;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, b);
  for (size_t i = 0; i < count; i++)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, NO_REGISTERS,
                                     READS_AND_WRITES, b);
}

static void start(void) {
  for (block *b = blocks; b; b = b->next) {
    b->executions = b->loaded = b->stored = b->written = 0;
    memset(b->misses, 0, sizeof b->misses);
  }
}

static void stop(void) {
  char path[sizeof output + 16];
  snprintf(path, sizeof path, "%s.%d", output, regions++);
  FILE *file = fopen(path, "w");
  if (!file) return; /* who reads it says that it is missing */
  for (block *b = blocks; b; b = b->next)
    if (b->executions)
      fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
              " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n",
              b->address, b->instructions, b->executions, b->loaded, b->stored, b->misses[0],
              b->misses[1], b->misses[2], b->written, b->code);
  fclose(file);
}

static void called(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                   uint64_t, uint64_t, uint64_t, uint64_t);

static void begin(qemu_plugin_id_t id) {
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t mark, uint64_t b,
                   uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number != MARK) return;
  if (mark == RESET && !counting) {
    /* Until here the program ran without counters, at its full speed. */
    counting = true;
    qemu_plugin_reset(id, begin);
  } else if (mark == START) {
    start();
  } else if (mark == STOP) {
    stop();
  }
}

/* A level of cache from SIZE:WAYS:LINE; whether it makes sense. */
static bool add_level(const char *text) {
  uint64_t size;
  unsigned ways, line, shift = 0;
  if (level_count == LEVELS || sscanf(text, "%" SCNu64 ":%u:%u", &size, &ways, &line) != 3)
    return false;
  while ((1u << shift) < line) shift++;
  if (!ways || (1u << shift) != line || size < (uint64_t)ways * line) return false;
  uint64_t sets = size / ways / line;
  levels[level_count] = (cache){ways, shift, sets, calloc(sets * ways, sizeof(place))};
  return levels[level_count++].places != NULL;
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                                 char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    if (!strncmp(argv[i], "out=", 4)) {
      snprintf(output, sizeof output, "%s", argv[i] + 4);
    } else if (argv[i][0] != 'l' || !strchr(argv[i], '=') ||
               !add_level(strchr(argv[i], '=') + 1)) {
      fprintf(stderr, "facebench's plugin does not understand %s\n", argv[i]);
      return 1;
    }
  }
  if (!*output) {
    fprintf(stderr, "facebench's plugin needs out=PATH\n");
    return 1;
  }
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  return 0;
}

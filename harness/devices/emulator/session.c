/* A session for code that TVM compiled, where neither TVM's runtime nor Python is.
 *
 * It opens network.so and network.program of one folder and answers requests on
 * standard input; harness/runtimes/wire.py describes the messages, and
 * harness/compiler/program.py the program. It needs the C library and nothing
 * else, so that a small machine, or an emulated one, starts it at once.
 *
 * Calls of kernels are made ready when a network is opened: between two marks of
 * `count` there is next to nothing but the kernels themselves.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    ALIGNMENT = 64, /* TVM's kernels refuse data that start elsewhere */
    MOST_DIMENSIONS = 8,
    MOST_WORDS = 8,
    LONGEST_LINE = 4096,
    MARK = 4077, /* a system call that there is none of: our emulator's plugin sees it */
};

/* ---- The sentence that an error reply holds. */

static char sentence[1024];

static bool fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    return false;
}

/* ---- What compiled kernels call, and how they are called (DLPack's and tvm-ffi's ABI). */

typedef struct {
    void *data;
    int32_t device_type, device_id;
    int32_t dimensions;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct {
    int32_t type;
    uint32_t zero;
    union {
        void *pointer;
        int64_t eight_bytes; /* as wide where pointers are not */
    } value;
} Any;

enum { CPU = 1, NONE = 0, TENSOR_POINTER = 7 };

typedef int (*Kernel)(void *self, const Any *arguments, int32_t count, Any *result);

typedef struct {
    void *sync_handle;
    int32_t num_task;
} TaskGroup;

typedef int (*Task)(int number, TaskGroup *group, void *closure);

static char kernel_error[512];

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count)
{
    size_t used = (size_t)snprintf(kernel_error, sizeof kernel_error, "%s: ", kind);
    for (int32_t i = 0; i < count && used < sizeof kernel_error; i++)
        if (parts[i])
            used += (size_t)snprintf(kernel_error + used, sizeof kernel_error - used, "%s", parts[i]);
}

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message)
{
    TVMFFIErrorSetRaisedFromCStrParts(kind, &message, 1);
}

static void *aligned(uint64_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    return aligned_alloc(ALIGNMENT, ((size_t)size / ALIGNMENT + 1) * ALIGNMENT);
}

/* Blocks stay: the C library would give large ones back and ask for them again at
 * every kernel, which TVM's own runtime does not do either. */
static struct {
    void *data;
    uint64_t size;
    bool taken;
} workspaces[32];

enum { WORKSPACES = sizeof workspaces / sizeof workspaces[0] };

void *TVMBackendAllocWorkspace(int device, int number, uint64_t size, int code, int bits)
{
    (void)device, (void)number, (void)code, (void)bits;
    int chosen = -1;
    for (int i = 0; i < WORKSPACES; i++) {
        if (workspaces[i].taken)
            continue;
        chosen = i;
        if (workspaces[i].size >= size)
            break;
    }
    if (chosen >= 0 && workspaces[chosen].size < size) {
        free(workspaces[chosen].data);
        workspaces[chosen].data = aligned(size);
        workspaces[chosen].size = workspaces[chosen].data ? size : 0;
    }
    if (chosen < 0 || !workspaces[chosen].data) {
        snprintf(kernel_error, sizeof kernel_error, "no workspace of %" PRIu64 " bytes", size);
        return NULL;
    }
    workspaces[chosen].taken = true;
    return workspaces[chosen].data;
}

int TVMBackendFreeWorkspace(int device, int number, void *data)
{
    (void)device, (void)number;
    for (int i = 0; i < WORKSPACES; i++)
        if (workspaces[i].data == data && workspaces[i].taken) {
            workspaces[i].taken = false;
            return 0;
        }
    return -1;
}

static int threads = 1;

/* One after the other: counted are the instructions of all threads, and they are
 * the same in every run. */
int TVMBackendParallelLaunch(Task task, void *closure, int count)
{
    TaskGroup group = {NULL, count > 0 ? count : threads};
    for (int i = 0; i < group.num_task; i++) {
        int status = task(i, &group, closure);
        if (status)
            return status;
    }
    return 0;
}

typedef void (*Function)(void);

/* A library calls these through pointers of its own; those not given are not to be had here. */
static const struct {
    const char *pointer;
    Function function;
} context[] = {
    {"__TVMBackendAllocWorkspace", (Function)TVMBackendAllocWorkspace},
    {"__TVMBackendFreeWorkspace", (Function)TVMBackendFreeWorkspace},
    {"__TVMBackendParallelLaunch", (Function)TVMBackendParallelLaunch},
    {"__TVMFFIErrorSetRaisedFromCStr", (Function)TVMFFIErrorSetRaisedFromCStr},
    {"__TVMBackendParallelBarrier", NULL},
    {"__TVMFFIEnvModLookupFromImports", NULL},
    {"__TVMFFIFunctionCall", NULL},
    {"__TVMFFIHandleInitOnce", NULL},
};

/* ---- The network. */

typedef struct {
    DLTensor view;
    int64_t shape[MOST_DIMENSIONS], strides[MOST_DIMENSIONS];
    uint64_t elements;
} Tensor;

typedef struct {
    char name[256];
    Kernel kernel;
    Any *arguments;
    int32_t count;
} Call;

typedef struct {
    uint64_t size;
    void *data;
} Storage;

static struct {
    size_t storage_count, tensor_count, call_count;
    Storage *storages;
    Tensor *tensors;
    Call *calls;
    Tensor *input, *output;
} network;

static bool ready; /* the network is open, wholly */

static bool read_storage(FILE *file, Storage *storage)
{
    if (fscanf(file, " storage %" SCNu64, &storage->size) != 1)
        return fail("a storage of network.program cannot be read; compile the network again");
    storage->data = aligned(storage->size);
    if (!storage->data)
        return fail("no memory for a storage of %" PRIu64 " bytes", storage->size);
    memset(storage->data, 0, (size_t)storage->size);
    return true;
}

static bool read_tensor(FILE *file, Tensor *tensor)
{
    size_t number;
    uint64_t offset;
    unsigned code, bits;
    int dimensions;
    bool read = fscanf(file, " tensor %zu %" SCNu64 " %u %u %d", &number, &offset, &code, &bits,
                       &dimensions) == 5;
    read = read && number < network.storage_count && dimensions >= 0 && dimensions <= MOST_DIMENSIONS;
    for (int i = 0; read && i < dimensions; i++)
        read = fscanf(file, "%" SCNd64, &tensor->shape[i]) == 1 && tensor->shape[i] >= 0;
    if (!read)
        return fail("a tensor of network.program cannot be read; compile the network again");
    tensor->elements = 1;
    for (int i = dimensions - 1; i >= 0; i--) {
        tensor->strides[i] = (int64_t)tensor->elements;
        tensor->elements *= (uint64_t)tensor->shape[i];
    }
    const Storage *storage = &network.storages[number];
    if (offset > storage->size || tensor->elements * (bits / 8) > storage->size - offset)
        return fail("a tensor of network.program is outside its storage; compile the network again");
    tensor->view = (DLTensor){
        .data = (char *)storage->data + offset,
        .device_type = CPU,
        .dimensions = dimensions,
        .code = (uint8_t)code,
        .bits = (uint8_t)bits,
        .lanes = 1,
        .shape = tensor->shape,
        .strides = tensor->strides,
    };
    return true;
}

static bool read_number(FILE *file, const char *format, Tensor **tensor)
{
    size_t number;
    if (fscanf(file, format, &number) != 1 || number >= network.tensor_count)
        return fail("network.program names a tensor that it has not; compile the network again");
    *tensor = &network.tensors[number];
    return true;
}

static bool read_call(FILE *file, void *library, Call *call)
{
    if (fscanf(file, " call %255s %" SCNd32, call->name, &call->count) != 2 || call->count < 1)
        return fail("a call of network.program cannot be read; compile the network again");
    char symbol[sizeof call->name + 16];
    snprintf(symbol, sizeof symbol, "__tvm_ffi_%s", call->name);
    call->kernel = (Kernel)(intptr_t)dlsym(library, symbol);
    if (!call->kernel)
        return fail("network.so has no kernel %s; compile the network again", call->name);
    call->arguments = calloc((size_t)call->count, sizeof *call->arguments);
    if (!call->arguments)
        return fail("no memory for a call of %" PRId32 " tensors", call->count);
    for (int32_t i = 0; i < call->count; i++) {
        Tensor *tensor = NULL;
        if (!read_number(file, "%zu", &tensor))
            return false;
        call->arguments[i].type = TENSOR_POINTER;
        call->arguments[i].value.pointer = &tensor->view;
    }
    return true;
}

static bool read_program(FILE *file, void *library)
{
    int version = 0;
    memset(&network, 0, sizeof network);
    if (fscanf(file, "program %d %zu %zu %zu", &version, &network.storage_count,
               &network.tensor_count, &network.call_count) != 4 || version != 1)
        return fail("network.program is no program of version 1; compile the network again");
    network.storages = calloc(network.storage_count, sizeof *network.storages);
    network.tensors = calloc(network.tensor_count, sizeof *network.tensors);
    network.calls = calloc(network.call_count, sizeof *network.calls);
    if (!network.storages || !network.tensors || !network.calls)
        return fail("no memory for a program of %zu calls", network.call_count);
    for (size_t i = 0; i < network.storage_count; i++)
        if (!read_storage(file, &network.storages[i]))
            return false;
    for (size_t i = 0; i < network.tensor_count; i++)
        if (!read_tensor(file, &network.tensors[i]))
            return false;
    for (size_t i = 0; i < network.call_count; i++)
        if (!read_call(file, library, &network.calls[i]))
            return false;
    if (!read_number(file, " input %zu", &network.input) ||
        !read_number(file, " output %zu", &network.output))
        return false;
    if (network.input->view.dimensions != 4 || network.output->view.dimensions < 1 ||
        network.input->shape[0] < 1 || network.input->shape[0] != network.output->shape[0])
        return fail("network.program does not make one embedding of each image");
    const Storage *constants = &network.storages[0];
    if (fgetc(file) != '\n' || fread(constants->data, 1, constants->size, file) != constants->size)
        return fail("network.program ends before its constants do; compile the network again");
    return true;
}

static bool load_library(const char *path, void **library)
{
    /* Kernels call exp and its like, and a library says not where they are. */
    if (!dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL))
        return fail("cannot load the C library's mathematics: %s", dlerror());
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*library)
        return fail("cannot load network.so: %s", dlerror());
    for (size_t i = 0; i < sizeof context / sizeof context[0]; i++) {
        Function *pointer = dlsym(*library, context[i].pointer);
        if (pointer && !context[i].function)
            return fail("network.so needs %s, which this session has not", context[i].pointer + 2);
        if (pointer)
            *pointer = context[i].function;
    }
    return true;
}

static bool run_call(const Call *call)
{
    Any result = {.type = NONE};
    if (call->kernel(NULL, call->arguments, call->count, &result))
        return fail("kernel %s failed: %s", call->name, kernel_error);
    return true;
}

static bool run(void)
{
    for (size_t i = 0; i < network.call_count; i++)
        if (!run_call(&network.calls[i]))
            return false;
    return true;
}

/* ---- Requests. */

typedef struct {
    char line[LONGEST_LINE];
    char *words[MOST_WORDS]; /* without the length */
    size_t word_count;
    char *payload;
    size_t length, room;
} Request;

/* False at the end of the input. What is no request leaves nothing to go on with. */
static bool read_request(Request *request)
{
    if (!fgets(request->line, sizeof request->line, stdin))
        return false;
    size_t count = 0;
    for (char *word = strtok(request->line, " \n"); word; word = strtok(NULL, " \n")) {
        if (count == MOST_WORDS)
            exit(2);
        request->words[count++] = word;
    }
    char *end = "";
    errno = 0;
    unsigned long long length = count < 2 ? 0 : strtoull(request->words[count - 1], &end, 10);
    if (count < 2 || *end || errno || length >= SIZE_MAX) {
        fputs("not a message of a session\n", stderr);
        exit(2);
    }
    request->word_count = count - 1;
    request->length = (size_t)length;
    if (request->length >= request->room) {
        free(request->payload);
        request->room = request->length + 1;
        request->payload = malloc(request->room);
    }
    if (!request->payload) {
        fputs("no memory for a request's payload\n", stderr);
        exit(2);
    }
    request->payload[request->length] = '\0';
    return fread(request->payload, 1, request->length, stdin) == request->length;
}

static void reply(const char *word, const void *payload, size_t length)
{
    printf("%s %zu\n", word, length);
    fwrite(payload, 1, length, stdout);
    fflush(stdout);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool answer_open(Request *request)
{
    double start = milliseconds();
    if (request->word_count != 3 || strcmp(request->words[1], "tvm"))
        return fail("this session runs what TVM compiled and nothing else");
    if (ready)
        return fail("this session has opened a network already; start another one");
    threads = atoi(request->words[2]);
    if (threads < 1)
        return fail("%s is no number of threads", request->words[2]);
    char path[LONGEST_LINE];
    if ((size_t)snprintf(path, sizeof path, "%s/network.program", request->payload) >= sizeof path)
        return fail("the network's path is longer than %d bytes", LONGEST_LINE);
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail("cannot read %.512s: %s", path, strerror(errno));
    void *library;
    snprintf(path, sizeof path, "%s/network.so", request->payload);
    ready = load_library(path, &library) && read_program(file, library);
    fclose(file);
    if (!ready)
        return false;
    char facts[64];
    int length = snprintf(facts, sizeof facts, "{\"load_ms\": %.3f}", milliseconds() - start);
    reply("ok", facts, (size_t)length);
    return true;
}

/* How many batches the images of a request are; 0 where they are not the network's. */
static size_t batches(const Request *request)
{
    if (!ready)
        return fail("no network is open yet");
    const int64_t *shape = network.input->shape;
    unsigned long long given[4] = {0};
    for (int i = 0; i < 4 && request->word_count == 5; i++)
        given[i] = strtoull(request->words[i + 1], NULL, 10);
    unsigned long long count = given[0] / (unsigned long long)shape[0];
    bool fits = count && given[0] == count * (unsigned long long)shape[0];
    for (int i = 1; i < 4; i++)
        fits = fits && given[i] == (unsigned long long)shape[i];
    if (!fits)
        return fail("the network takes images (%d, %d, %d, %d), not (%llu, %llu, %llu, %llu)",
                    (int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3], given[0], given[1],
                    given[2], given[3]);
    if (request->length != count * network.input->elements * sizeof(float))
        return fail("%zu bytes are not these images in float32", request->length);
    return (size_t)count;
}

static bool answer_infer(Request *request)
{
    size_t count = batches(request);
    if (!count)
        return false;
    size_t taken = (size_t)network.input->elements * sizeof(float);
    size_t made = (size_t)network.output->elements * sizeof(float);
    char *embeddings = malloc(count * made);
    if (!embeddings)
        return fail("no memory for %zu embeddings", count);
    bool done = true;
    for (size_t i = 0; i < count && done; i++) {
        memcpy(network.input->view.data, request->payload + i * taken, taken);
        done = run();
        memcpy(embeddings + i * made, network.output->view.data, made);
    }
    if (done)
        reply("ok", embeddings, count * made);
    free(embeddings);
    return done;
}

/* The emulator's plugin has the code's addresses; here is what lies there. */
static bool reply_maps(void)
{
    static char maps[1 << 20];
    FILE *file = fopen("/proc/self/maps", "rb");
    if (!file)
        return fail("cannot read /proc/self/maps: %s", strerror(errno));
    size_t length = fread(maps, 1, sizeof maps, file);
    fclose(file);
    reply("ok", maps, length);
    return true;
}

enum { RESET, START, STOP };

/* No inference, then one: their difference is one without the marks. */
static bool answer_count(Request *request)
{
    size_t count = batches(request);
    if (!count)
        return false;
    if (count > 1)
        return fail("one batch is counted at a time, not %zu", count);
    memcpy(network.input->view.data, request->payload, request->length);
    syscall(MARK, RESET);
    bool done = run();
    syscall(MARK, START);
    syscall(MARK, STOP);
    syscall(MARK, START);
    done = done && run();
    syscall(MARK, STOP);
    return done && reply_maps();
}

static bool is_constant(const Tensor *tensor)
{
    const Storage *constants = &network.storages[0];
    return (uintptr_t)tensor->view.data - (uintptr_t)constants->data < constants->size;
}

/* Caches as a kernel of a network finds them: the maps that it reads were written just
 * before; all else, such as its weights, was used an inference ago. */
static void set_caches(const Call *call, const volatile char *other, size_t size)
{
    for (size_t i = 0; i < size; i += ALIGNMENT)
        (void)other[i];
    for (int32_t i = 0; i + 1 < call->count; i++) {
        const Tensor *read = call->arguments[i].value.pointer;
        volatile char *data = read->view.data;
        uint64_t bytes = is_constant(read) ? 0 : read->elements * (read->view.bits / 8);
        for (uint64_t k = 0; k < bytes; k += ALIGNMENT)
            data[k] = data[k];
    }
}

/* Each kernel once, in a region of its own. */
static bool answer_kernels(Request *request)
{
    char *end = "";
    size_t size = request->word_count == 6 ? (size_t)strtoull(request->words[5], &end, 10) : 0;
    if (!size || *end)
        return fail("how many bytes the caches hold is missing");
    request->word_count--;
    size_t count = batches(request);
    if (!count)
        return false;
    if (count > 1)
        return fail("kernels are run for one batch at a time, not %zu", count);
    char *other = calloc(1, size);
    if (!other)
        return fail("no memory for %zu bytes beside the network", size);
    memcpy(network.input->view.data, request->payload, request->length);
    syscall(MARK, RESET);
    bool done = true;
    for (size_t i = 0; i < network.call_count && done; i++) {
        set_caches(&network.calls[i], other, size);
        syscall(MARK, START);
        done = run_call(&network.calls[i]);
        syscall(MARK, STOP);
    }
    free(other);
    if (done)
        reply("ok", network.output->view.data, (size_t)network.output->elements * sizeof(float));
    return done;
}

static bool answer(Request *request)
{
    const char *verb = request->words[0];
    if (!strcmp(verb, "open"))
        return answer_open(request);
    if (!strcmp(verb, "infer"))
        return answer_infer(request);
    if (!strcmp(verb, "count"))
        return answer_count(request);
    if (!strcmp(verb, "kernels"))
        return answer_kernels(request);
    return fail("a session in C does not know '%.64s'", verb);
}

int main(void)
{
    static Request request;
    while (read_request(&request))
        if (!answer(&request))
            reply("error", sentence, strlen(sentence));
    return 0;
}

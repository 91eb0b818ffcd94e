/* Runs one of ncnn's benchmark networks inside the emulator, as arm_counts_guest.py does, with an
 * ncnn that has no wheel: with its options and allocators as its own benchmark sets them, in
 * single precision and with empty weights. arm_counts.py starts it.
 *
 *     arm_counts_guest NETWORK.param SIZE fp32
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

#include "datareader.h"
#include "net.h"

/* The system call that the plugin sees, and what it is told. */
enum { MARK = 4077, RESET = 0, START = 1, STOP = 2 };

class Empty : public ncnn::DataReader {
public:
  virtual int scan(const char *, void *) const { return 0; }
  virtual size_t read(void *buffer, size_t size) const
  {
    memset(buffer, 0, size);
    return size;
  }
};

static ncnn::UnlockedPoolAllocator blobs;
static ncnn::PoolAllocator workspace;

static void infer(const ncnn::Net &net, const ncnn::Mat &image)
{
  ncnn::Mat output;
  ncnn::Extractor extractor = net.create_extractor();
  extractor.input("data", image);
  if (extractor.extract("output", output))
    _exit(3);
}

int main(int count, char **words)
{
  if (count < 3)
    return 2;
  int size = atoi(words[2]);
  ncnn::Mat image(size, size, 3);
  image.fill(0.01f);
  ncnn::Net net;
  net.opt.lightmode = true;
  net.opt.num_threads = 1;
  net.opt.blob_allocator = &blobs;
  net.opt.workspace_allocator = &workspace;
  if (net.load_param(words[1]))
    return 2;
  net.load_model(Empty());
  syscall(MARK, RESET);
  infer(net, image);
  for (int inferences = 1; inferences <= 2; inferences++) {
    syscall(MARK, START);
    for (int i = 0; i < inferences; i++)
      infer(net, image);
    syscall(MARK, STOP);
  }
  FILE *maps = fopen("/proc/self/maps", "r");
  for (int character; maps && (character = getc(maps)) != EOF;)
    putchar(character);
  fflush(stdout);
  _exit(0);
}

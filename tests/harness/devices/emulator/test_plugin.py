"""The plugin, with programs whose counts are known beforehand."""

import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import facebench.harness.devices.emulator
from facebench.harness.devices.emulator.crossbuild import native_library

QEMU = shutil.which("qemu-aarch64")
pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-user is not installed")

# Marks, and between them: `passes` over `count` lines of 64 bytes, each loaded once. It has no
# C library, which would have to be built first.
PROGRAM = """
__asm__(".globl _start\\n_start: ldr x0, [sp]\\n add x1, sp, #8\\n bl run\\n"
        "mov x0, #0\\n mov x8, #93\\n svc #0\\n");
static void mark(long k) {
  register long number __asm__("x8") = 4077, first __asm__("x0") = k;
  __asm__ volatile("svc #0" : "+r"(first) : "r"(number) : "memory");
}
static long number(const char *digits) {
  long found = 0;
  while (*digits) found = 10 * found + *digits++ - '0';
  return found;
}
static char lines[1 << 22] __attribute__((aligned(4096)));
static void load(long count, long passes, long stride) {
  for (long p = 0; p < passes; p++) {
    char *at = lines;
    long left = count;
    __asm__ volatile("1: ldr q0, [%0]\\n add %0, %0, %2\\n subs %1, %1, #1\\n b.ne 1b\\n"
                     : "+r"(at), "+r"(left) : "r"(stride) : "v0", "cc", "memory");
  }
}
static void store(long count) {
  for (long i = 0; i < count; i++) ((volatile char *)lines)[i * 64] = 1;
}
void run(long argc, char **argv) {
  long count = number(argv[1]), passes = number(argv[2]), stride = number(argv[3]);
  mark(0);
  if (argc > 4) store(number(argv[4]));
  load(count, 1, stride);
  mark(1);
  load(count, passes, stride);
  mark(2);
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "program.c").write_text(PROGRAM)
    zig = [sys.executable, "-P", "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
    command = [
        *zig,
        "-static",
        "-nostdlib",
        "-O1",
        str(folder / "program.c"),
        "-o",
        str(folder / "program"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    source = Path(facebench.harness.devices.emulator.__file__).with_name("plugin.c")
    native_library(source, folder / "plugin.so")
    return folder


def run(built: Path, tmp_path: Path, *arguments: int, caches: str = "") -> np.ndarray:
    """Sums of executed instructions, bytes loaded and stored, misses and lines written."""
    plugin = f"{built / 'plugin.so'},out={tmp_path / 'counters'}{caches}"
    command = ["qemu-aarch64", "-plugin", plugin, str(built / "program"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
    rows = [row.split()[:9] for row in (tmp_path / "counters.0").read_text().splitlines()]
    table = np.array(rows, dtype=np.int64)
    return np.array([(table[:, 1] * table[:, 2]).sum(), *table[:, 3:].sum(axis=0)])


def test_instructions_and_bytes_are_exact(built: Path, tmp_path: Path) -> None:
    few, many = (run(built, tmp_path, count, 1, 64) for count in (100, 1100))
    instructions, loaded, stored = (many - few)[:3]
    assert (instructions, loaded, stored) == (4 * 1000, 16 * 1000, 0)


def test_two_runs_count_the_same(built: Path, tmp_path: Path) -> None:
    first, second = (run(built, tmp_path, 500, 3, 64)[:3].tolist() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("count", "misses"), [(256, 0), (513, 1026), (4096, 8192)])
def test_a_first_level_holds_what_it_holds_and_no_more(
    built: Path, tmp_path: Path, count: int, misses: int
) -> None:
    # 32 KiB of one set a way: what is used longest ago leaves, so one line too many loses all.
    found = run(built, tmp_path, count, 2, 64, caches=",l1=32768:512:64")[3]
    assert misses <= found <= misses + 8  # the program's own few lines


def test_sets_and_ways_are_those_of_a_plain_model(built: Path, tmp_path: Path) -> None:
    for size, ways, line, stride in [(8192, 2, 64, 64), (24576, 3, 64, 192), (16384, 4, 128, 320)]:
        expected = plain_misses(size, ways, line, stride, 300, 3)
        caches = f",l1={size}:{ways}:{line}"
        found = run(built, tmp_path, 300, 3, stride, caches=caches)[3]
        assert expected <= found <= expected + 24


def test_dirty_lines_are_written_back_once(built: Path, tmp_path: Path) -> None:
    # 64 KiB were stored into before; two passes over 256 KiB push them all out.
    caches = ",l1=32768:4:64,l2=131072:8:64"
    written = run(built, tmp_path, 4096, 2, 64, 1024, caches=caches)[6]
    clean = run(built, tmp_path, 4096, 2, 64, caches=caches)[6]
    assert clean <= 8
    assert written <= 1024 + 8


@pytest.mark.parametrize("caches", [",l1=0:1:64", ",l1=32768", ",l1=32768:4:60", ",nonsense"])
def test_caches_that_make_no_sense_are_refused(built: Path, tmp_path: Path, caches: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(built, tmp_path, 1, 1, 64, caches=caches)


def plain_misses(size: int, ways: int, line: int, stride: int, count: int, passes: int) -> int:
    """Misses of a warm cache, by a model in a few lines of another kind."""
    sets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(size // ways // line)]
    misses = 0
    for turn in range(passes + 1):
        for i in range(count):
            number = i * stride // line
            kept = sets[(number + 1) % len(sets)]
            misses += turn > 0 and number not in kept
            kept.pop(number, None)
            kept[number] = None
            if len(kept) > ways:
                kept.popitem(last=False)
    return misses

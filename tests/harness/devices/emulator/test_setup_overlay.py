"""What emulated programs see of the machine: the core's processors and caches, not this one's."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.devices.emulator import qemu
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.machine.cores import CORES, Core, identify
from facebench.harness.runtimes import registry
from facebench.harness.storage import cache
from tests.sampling import today

CACHES = "sys/devices/system/cpu/cpu{}/cache/index{}"
MODELLED = [core for core in CORES if core.figures]


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    """A set-up with folders alone."""
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    for below in ("usr/bin", "lib", "proc", "tmp"):
        (cache.root() / "emulated" / "aarch64" / "root" / below).mkdir(parents=True)
    return Emulated(cache.root() / "emulated")


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text().strip()


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_the_cores_own_caches_are_there_with_linux_names(pretended: Emulated, core: Core) -> None:
    folder = overlay(pretended.root("aarch64"), core)
    assert core.figures is not None
    for index, found in ((0, core.figures.l1d), (2, core.figures.l2), (3, core.figures.l3)):
        if found is None:
            continue
        at = folder / CACHES.format(core.figures.cores - 1, index)
        sets, ways = int(read(at, "number_of_sets")), int(read(at, "ways_of_associativity"))
        assert read(at, "size") == f"{found.size_bytes // 1024}K"
        assert sets * ways * int(read(at, "coherency_line_size")) == found.size_bytes
        sharers = int(read(at, "shared_cpu_map"), 16).bit_count()
        assert sharers == (core.figures.cores if found.shared else 1)


def test_a_level_that_the_core_lacks_is_its_last_one_again(pretended: Emulated) -> None:
    folder = overlay(pretended.root("aarch64"), CORES["cortex-a72"])
    for name in ("level", "type", "size", "number_of_sets", "shared_cpu_list", "shared_cpu_map"):
        second, third = (folder / CACHES.format(0, index) / name for index in (2, 3))
        assert third.read_text() == second.read_text() != ""


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_whoever_lists_caches_and_processors_finds_the_cores(
    pretended: Emulated, core: Core
) -> None:
    """As OpenVINO's code generator does: a listed cache that cannot be read makes it use none."""
    folder = overlay(pretended.root("aarch64"), core)
    assert core.figures is not None
    sizes = {}
    for index in (folder / CACHES.format(0, 0)).parent.glob("index*"):
        if read(index, "type") != "Instruction":
            sizes[int(read(index, "level"))] = read(index, "size")
            assert re.fullmatch(r"0|0-\d+", read(index, "shared_cpu_list"))
    assert sizes == {
        number: f"{level.size_bytes // 1024}K"
        for number, level in enumerate(core.figures.levels, 1)
    }
    for listing in ("sys/devices/system/cpu", "sys/devices/system/node/node0"):
        assert len([*(folder / listing).glob("cpu[0-9]*")]) == core.figures.cores


def test_a_core_that_is_only_recognised_shows_no_caches(pretended: Emulated) -> None:
    bare = replace(CORES["cortex-a72"], figures=None)
    folder = overlay(pretended.root("aarch64"), bare)
    assert read(folder, "sys/devices/system/cpu/possible") == "0"
    assert read(folder, CACHES.format(0, 2) + "/size") == ""


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_the_processors_are_the_cores(pretended: Emulated, core: Core) -> None:
    folder = overlay(pretended.root("aarch64"), core)
    assert core.figures is not None
    assert identify(read(folder, "proc/cpuinfo")) == [core.name] * core.figures.cores


def test_a_paragraph_is_as_linux_prints_it(pretended: Emulated) -> None:
    """As a Raspberry Pi 4 does, but for the timer, the cryptography, which its chip lacks, and the
    revision; and the variant, r0 here.
    """
    folder = overlay(pretended.root("aarch64"), CORES["cortex-a72"])
    first, _, _ = read(folder, "proc/cpuinfo").partition("\n\n")
    assert first.splitlines() == [
        "processor\t: 0",
        "BogoMIPS\t: 125.00",
        "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
        "CPU implementer\t: 0x41",
        "CPU architecture: 8",
        "CPU variant\t: 0x0",
        "CPU part\t: 0xd08",
        "CPU revision\t: 0",
    ]


def test_a_core_of_32_bits_says_so(pretended: Emulated) -> None:
    folder = overlay(pretended.root("aarch64"), CORES["cortex-a7"])
    lines = read(folder, "proc/cpuinfo").splitlines()
    assert "CPU architecture: 7" in lines
    assert {"neon", "vfpv4", "idiva"} <= set(lines[2].partition(": ")[2].split())


def test_the_identification_is_the_registers(pretended: Emulated) -> None:
    """As Linux shows it on a Raspberry Pi 4, but for the revision (r0p3 there)."""
    folder = overlay(pretended.root("aarch64"), CORES["cortex-a72"])
    midr = read(folder, "sys/devices/system/cpu/cpu3/regs/identification/midr_el1")
    assert midr == "0x00000000410fd080"


def test_the_sysroot_is_seen_through_it_but_for_what_is_the_kernels(pretended: Emulated) -> None:
    folder = overlay(pretended.root("aarch64"), CORES["cortex-a72"])
    assert (folder / "usr" / "bin").samefile(pretended.root("aarch64") / "usr" / "bin")
    assert (folder / "lib").is_dir()
    assert not (folder / "tmp").exists()
    assert not (folder / "proc").is_symlink()


def test_it_is_made_once_for_a_core(pretended: Emulated) -> None:
    first = overlay(pretended.root("aarch64"), CORES["cortex-a72"])
    assert overlay(pretended.root("aarch64"), CORES["cortex-a72"]) == first
    assert overlay(pretended.root("aarch64"), CORES["cortex-a53"]) != first


SEEN = """
import os
cpus = "/sys/devices/system/cpu/"
print(open(cpus + "cpu0/cache/index2/size").read().strip(),
      repr(open(cpus + "cpu0/cache/index3/level").read().strip()),
      os.sysconf("SC_NPROCESSORS_CONF"), open("/proc/cpuinfo").read().count("processor"))
"""


@pytest.mark.parametrize(
    ("name", "seen"),
    [("cortex-a72", "1024K '2' 4 4"), ("cortex-a76", "512K '3' 4 4"), ("kryo", "1024K '2' 2 2")],
)
def test_an_emulated_program_reads_them(emulated: Emulated, name: str, seen: str) -> None:
    folder = overlay(emulated.root("aarch64"), CORES[name])
    assert qemu.run_python(folder, SEEN, "").strip() == seen


# Linux's names of the bits of AT_HWCAP (arch/arm64/include/uapi/asm/hwcap.h), from the lowest.
BITS = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
    "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm"
)

FEATURES = """
import ctypes
getauxval = ctypes.CDLL(None).getauxval
getauxval.restype = ctypes.c_ulong
print(getauxval(16))
print(*[line for line in open("/proc/cpuinfo") if line.startswith("Features")][:1])
"""


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_an_emulated_core_executes_the_features_that_it_prints(
    emulated: Emulated, core: Core
) -> None:
    root = overlay(emulated.root("aarch64"), core)
    command = ["-cpu", core.qemu_cpu, root / qemu.PYTHON, "-I", "-S", "-c", FEATURES]
    bits, line = qemu.run("aarch64", root, command, "").strip().split("\n")
    printed = line.partition(": ")[2].split()
    assert printed == [name for name in BITS.split() if name in printed]
    has = {name for number, name in enumerate(BITS.split()) if int(bits) >> number & 1}
    # Events of the timer are the kernel's, and there is none.
    assert set(printed) - {"evtstrm"} <= has
    if core.name == core.qemu_cpu:
        assert set(printed) - {"evtstrm"} == has


OPENED = re.compile(r'openat\(AT_FDCWD,"(/proc/cpuinfo|/sys/devices/system/[^"]*)",[^)]*\) = (\d+)')


@pytest.mark.parametrize("runtime", today(["litert", "ncnn", "onnxruntime", "openvino"], 2))
def test_a_runtime_reads_nothing_of_this_machines_processors(
    emulated_here: Emulated, runtime: str
) -> None:
    """This machine's /proc/cpuinfo, beside the core's caches, ended ONNX Runtime 1.32's import."""
    if runtime not in EmulatedLauncher("cortex-a72").runtimes():
        pytest.skip(f"{runtime} is not set up on emulated cores")
    root = overlay(emulated_here.root("aarch64"), CORES["cortex-a72"])
    code = f"from {registry.__name__} import RUNTIMES; RUNTIMES[{runtime!r}].load()"
    if runtime == "openvino":
        code += "; import openvino; openvino.Core()"
    command = ["qemu-aarch64", "-strace", "-L", root, "-cpu", "cortex-a72", root / qemu.PYTHON]
    packages = os.pathsep.join(map(str, emulated_here.packages(runtime)))
    done = subprocess.run(
        [*command, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        check=True,
    )
    opened = {path for path, _ in OPENED.findall(done.stderr)}
    assert opened
    assert not {path for path in opened if not (root / path[1:]).is_file()}

"""What emulated programs see of the machine: the core's processors and caches, not this one's."""

from dataclasses import replace
from pathlib import Path

import pytest

from facebench.harness.devices.emulator import qemu
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.machine.cores import CORES, Core, identify
from facebench.harness.storage import cache

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
    folder = overlay(pretended, core)
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


def test_a_level_that_the_core_lacks_hides_this_machines(pretended: Emulated) -> None:
    folder = overlay(pretended, CORES["cortex-a72"])
    for index in range(3, 8):
        for name in ("level", "type", "size", "shared_cpu_map"):
            assert (folder / CACHES.format(0, index) / name).read_text() == ""


def test_a_core_that_is_only_recognised_shows_no_caches(pretended: Emulated) -> None:
    bare = replace(CORES["cortex-a72"], figures=None)
    folder = overlay(pretended, bare)
    assert read(folder, "sys/devices/system/cpu/possible") == "0"
    assert read(folder, CACHES.format(0, 2) + "/size") == ""


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_the_processors_are_the_cores(pretended: Emulated, core: Core) -> None:
    folder = overlay(pretended, core)
    assert core.figures is not None
    assert identify(read(folder, "proc/cpuinfo")) == [core.name] * core.figures.cores


def test_the_identification_is_the_registers(pretended: Emulated) -> None:
    """As Linux shows it on a Raspberry Pi 4, but for the revision (r0p3 there)."""
    folder = overlay(pretended, CORES["cortex-a72"])
    midr = read(folder, "sys/devices/system/cpu/cpu3/regs/identification/midr_el1")
    assert midr == "0x00000000410fd080"


def test_the_sysroot_is_seen_through_it_but_for_what_is_the_kernels(pretended: Emulated) -> None:
    folder = overlay(pretended, CORES["cortex-a72"])
    assert (folder / "usr" / "bin").samefile(pretended.root("aarch64") / "usr" / "bin")
    assert (folder / "lib").is_dir()
    assert not (folder / "tmp").exists()
    assert not (folder / "proc").is_symlink()


def test_it_is_made_once_for_a_core(pretended: Emulated) -> None:
    first = overlay(pretended, CORES["cortex-a72"])
    assert overlay(pretended, CORES["cortex-a72"]) == first
    assert overlay(pretended, CORES["cortex-a53"]) != first


SEEN = """
import os
cpus = "/sys/devices/system/cpu/"
print(open(cpus + "cpu0/cache/index2/size").read().strip(),
      repr(open(cpus + "cpu0/cache/index3/level").read().strip()),
      os.sysconf("SC_NPROCESSORS_CONF"), open("/proc/cpuinfo").read().count("processor"))
"""


@pytest.mark.parametrize(
    ("name", "seen"),
    [("cortex-a72", "1024K '' 4 4"), ("cortex-a76", "512K '3' 4 4"), ("kryo", "1024K '' 2 2")],
)
def test_an_emulated_program_reads_them(emulated: Emulated, name: str, seen: str) -> None:
    folder = overlay(emulated, CORES[name])
    assert qemu.run_python(folder, SEEN, "").strip() == seen

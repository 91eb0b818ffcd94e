"""Cores are described as data, every figure with its source, and recognised by their numbers."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.machine import cores
from facebench.harness.machine.cores import CORES, Cache, Core, Figures, identify, parse

MODELLED = [core for core in CORES if core.figures]

SNAPDRAGON_820 = """\
Processor	: AArch64 Processor rev 2 (aarch64)
processor	: 0
CPU implementer	: 0x51
CPU architecture: 8
CPU variant	: 0x1
CPU part	: 0x211
CPU revision	: 2

processor	: 1
CPU implementer	: 0x51
CPU part	: 0x205

Hardware	: Qualcomm Technologies, Inc MSM8996
"""


def figures(core: Core) -> Figures:
    assert core.figures is not None
    return core.figures


def text() -> str:
    return Path(cores.__file__).with_suffix(".toml").read_text()


@pytest.mark.parametrize("core", list(CORES), ids=lambda core: core.name)
def test_a_core_compiles_for_a_target(core: Core) -> None:
    assert core.target in TARGETS


@pytest.mark.parametrize("core", list(CORES), ids=lambda core: core.name)
def test_qemu_knows_the_core(core: Core) -> None:
    qemu = "qemu-arm" if core.name == "cortex-a7" else "qemu-aarch64"
    if shutil.which(qemu) is None:
        pytest.skip(f"{qemu} is not installed")
    help_ = subprocess.run([qemu, "-cpu", "help"], capture_output=True, text=True, check=False)
    assert core.qemu_cpu in help_.stdout.split()


# What LLVM calls the features that Linux prints. The reference manual of the architecture has
# some of them of every core from a version on.
LLVM = {
    "asimd": "neon",
    "aes": "aes",
    "sha2": "sha2",
    "crc32": "crc",
    "atomics": "lse",
    "asimdhp": "fullfp16",
    "asimdrdm": "rdm",
    "lrcpc": "rcpc",
    "dcpop": "ccpp",
    "asimddp": "dotprod",
}
FROM_8_0 = {"fp", "asimd"}
FROM_8_2 = {*FROM_8_0, "crc32", "atomics", "asimdrdm", "dcpop"}


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_features_are_those_that_llvm_knows_of_the_core(core: Core) -> None:
    tvm = import_tvm()
    from tvm.target import codegen

    described = tvm.target.Target(
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": core.name}
    )
    known = {str(name) for name in codegen.llvm_get_cpu_features(described)}
    printed = core.features.split()
    assert {name for name, llvm in LLVM.items() if llvm in known} == set(printed) & set(LLVM)


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_what_an_architecture_demands_is_among_the_features(core: Core) -> None:
    version = re.match(r"ARMv8(\.2)?-A", core.description)
    assert version
    printed = set(core.features.split())
    assert printed >= (FROM_8_2 if version[1] else FROM_8_0)
    assert version[1] or not printed & {"atomics", "asimdrdm", "dcpop"}
    # Half precision and dot products are options from 8.2 on; the former is of both or of none.
    assert version[1] or not printed & {"asimdhp", "asimddp"}
    assert ("fphp" in printed) == ("asimdhp" in printed)


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_every_figure_has_a_source(core: Core) -> None:
    for field in fields(Figures):
        value = getattr(core.figures, field.name)
        names = (
            [f"{field.name}.{f.name}" for f in fields(Cache)] if value.__class__ is Cache else []
        )
        for name in names or ([field.name] if value is not None else []):
            assert len(core.source(name)) > 3
    with pytest.raises(KeyError, match="l9"):
        core.source("l9.size_bytes")


@pytest.mark.parametrize("core", MODELLED, ids=lambda core: core.name)
def test_caches_have_whole_sets_and_grow_and_slow_outwards(core: Core) -> None:
    found = figures(core)
    levels = [level for level in (found.l1d, found.l2, found.l3) if level]
    for cache in levels:
        sets, rest = divmod(cache.size_bytes, cache.associativity * cache.line_bytes)
        assert rest == 0
        assert sets & (sets - 1) == 0
    assert levels == sorted(levels, key=lambda cache: cache.size_bytes)
    assert levels == sorted(levels, key=lambda cache: cache.latency_cycles)
    assert found.dram_latency_ns * found.frequency_hz / 1e9 > levels[-1].latency_cycles


# Peak rates that github.com/pigirons/cpufp measured on these very boards.
@pytest.mark.parametrize(("name", "gflops"), [("cortex-a72", 11.958), ("cortex-a76", 38.369)])
def test_lanes_and_clock_give_the_measured_peak(name: str, gflops: float) -> None:
    core = figures(CORES[name])
    peak = 2 * core.fma_lanes_per_cycle * core.frequency_hz / 1e9
    assert peak == pytest.approx(gflops, rel=0.01)


def test_no_two_cores_share_numbers() -> None:
    numbers = [(core.implementer, part) for core in CORES for part in core.parts]
    assert len(numbers) == len(set(numbers))


def test_the_cores_of_a_phone_are_named_one_a_processor() -> None:
    assert identify(SNAPDRAGON_820) == ["kryo", "kryo"]


def test_big_and_small_cores_keep_the_order_of_processors() -> None:
    parts = ["0xd05", "0xd05", "0xd0b", "0xd4a"]
    cpuinfo = "\n\n".join(
        f"processor\t: {i}\nCPU implementer\t: 0x41\nCPU part\t: {part}"
        for i, part in enumerate(parts)
    )
    assert identify(cpuinfo) == ["cortex-a55", "cortex-a55", "cortex-a76", "arm:0x41:0xd4a"]


@pytest.mark.parametrize(
    "cpuinfo",
    ["", "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n", "CPU part\t: much"],
)
def test_other_texts_name_no_core(cpuinfo: str) -> None:
    assert identify(cpuinfo) == []


@given(st.text())
def test_any_text_can_be_looked_through(cpuinfo: str) -> None:
    assert isinstance(identify(cpuinfo), list)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[kryo.figures]", "[kryo.figures]\nglow = 1", "core kryo: unknown key figures.glow"),
        ('[kryo]\ndescription = "', '[kryo]\ncolour = "', "core kryo: unknown key colour"),
        ("parts = [0xc07]", "", "core cortex-a7: parts is missing"),
        ("dram_latency_ns = 103", "", "core cortex-a76: figures: dram_latency_ns is missing"),
        (
            "latency_cycles = 45",
            "age = 1",
            "core cortex-a78: unknown key figures.l3.age",
        ),
        (", latency_cycles = 45", "", "core cortex-a78: figures.l3: latency_cycles is missing"),
        ('board = "Snapdragon 820, gold', 'bord = "', "core kryo: unknown key figures.bord"),
        ('board = "anandtech', 'x = "anandtech', "kryo.sources has none for board"),
        ('l3 = "cpuinfo', '"l3.age" = "cpuinfo', "cortex-a76.sources has none for l3.size_bytes"),
        ("[kryo.sources]", '[kryo.sources]\nl4 = "?"', "kryo.sources has an unknown key 'l4'"),
    ],
)
def test_a_wrong_key_and_a_missing_value_are_named(old: str, new: str, named: str) -> None:
    assert text().count(old) == 1
    with pytest.raises(BadInputError, match=named):
        parse(text().replace(old, new))


def test_a_core_without_figures_needs_no_sources() -> None:
    assert CORES["cortex-a7"].figures is None


def test_neither_torch_nor_tvm_is_loaded() -> None:
    code = (
        "import sys, facebench.harness.machine.cores\n"
        "print({'torch', 'tvm', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

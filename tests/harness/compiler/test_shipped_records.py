"""The tuning records that come with the project: whole, valid, and no better than they say."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures import registry
from facebench.harness.compiler import build, records
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.vectors import ByteVectors, Registers
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Window,
    Workload,
    key,
)
from facebench.harness.models import export
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import resolve

workloads = pytest.importorskip("facebench.harness.tuning.workloads")
places = pytest.importorskip("facebench.harness.tuning.places")

FOUR = ["mobilefacenet", "mobilenet_v1", "mobilenet_v2", "shufflenet_v1"]

# Each with what its costs must come from.
SHIPPED = {
    "x86-64-v3": ("seconds", "measured on"),
    "x86-64-v4": ("seconds", "measured on"),
    "x86-64-v4-halved": ("seconds", "measured on"),
    "cortex-a53": ("cycles", "modelled for cortex-a53"),
    "cortex-a72": ("cycles", "modelled for cortex-a72"),
    "cortex-a76": ("cycles", "modelled for cortex-a76"),
    "x86-64-v3.int8": ("seconds", "measured on"),
    "x86-64-v4-vnni.int8": ("seconds", "measured on"),
    "x86-64-v4.int8": ("seconds", "measured on"),
    "cortex-a72.int8": ("cycles", "modelled for cortex-a72"),
    "cortex-a76.int8": ("cycles", "modelled for cortex-a76"),
    "cortex-a76.fp16": ("cycles", "modelled for cortex-a76"),
    "cortex-a53.int8": ("cycles", "modelled for cortex-a53"),
    "cortex-a55": ("cycles", "modelled for cortex-a55"),
    "cortex-a55.fp16": ("cycles", "modelled for cortex-a55"),
    "cortex-a55.int8": ("cycles", "modelled for cortex-a55"),
}


@pytest.fixture(autouse=True)
def _only_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))


@pytest.mark.parametrize("name", SHIPPED)
def test_records_say_how_they_were_obtained(name: str) -> None:
    found = records.load(name)
    assert found
    for record in found.values():
        unit, how = SHIPPED[name]
        assert record.unit == unit
        assert record.how.startswith(how)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_the_model_chooses_is_never_twice_as_slow_as_what_was_found(name: str) -> None:
    gains = [record.gain for record in records.load(name).values()]
    assert min(gains) >= 1
    assert max(gains) <= 2


def work_of(text: str) -> Workload:
    """The workload whose key this is."""
    kind, *words = text.split()
    given: dict[str, Any] = dict(word.split("=") for word in words)
    for name in given.keys() - {"epilogue", "window", "kind"}:
        numbers = tuple(map(int, given[name].split("x")))
        given[name] = numbers if len(numbers) > 1 else numbers[0]
    pairs = [tuple(map(int, pair.split("x"))) for pair in given["window"].split(",")]
    given["window"] = Window(*pairs)
    given["epilogue"] = tuple(one for one in given["epilogue"].split("+") if one != "none")
    if "planar" in given:
        given["planar"] = bool(given["planar"])
    kinds: dict[str, Any] = {one.__name__.lower(): one for one in (Convolution, Depthwise, Pooling)}
    made: Workload = kinds[kind](**given)
    assert key(made) == text
    return made


@pytest.mark.parametrize("name", [name for name in SHIPPED if "." in name])
def test_every_record_has_a_tiling_that_its_kernel_can_have(name: str) -> None:
    found, registers = records.load(name), registers_of(name)
    for text, record in found.items():
        work = work_of(text)
        assert record.tiling.items() <= vars(records.tiling_of(record, work, registers)).items()


@pytest.mark.parametrize(("cpu", "seven"), [("znver4", True), ("znver5", False)])
def test_seven_products_are_for_cores_that_compute_in_halves(cpu: str, seven: bool) -> None:
    here = Target("host", "x86_64-linux-gnu", cpu, (), (), "EM_X86_64")
    found = [record.tiling for record in build.tuning(here).values()]
    products = {"pixels", "vectors", "unroll", "chunk"}
    assert any(tiling.keys() == products for tiling in found) == seven


@pytest.mark.slow
@pytest.mark.parametrize("network", registry.paper_names())
def test_every_kernel_of_the_papers_networks_has_a_record_that_it_can_use(network: str) -> None:
    exported = export.export(resolve(network))
    for name in SHIPPED:
        if "." not in name:
            assert without_record(exported, name) == []


@pytest.mark.slow
@pytest.mark.parametrize("network", FOUR)
def test_so_has_every_kernel_of_four_of_them_in_fewer_bits(network: str) -> None:
    exported = export.export(resolve(network))
    for name in SHIPPED:
        if "." in name:
            assert without_record(exported, name) == []


def registers_of(name: str) -> Registers:
    """Those that records kept as this are for."""
    target, _, precision = name.partition(".")
    goal = places.goal(TARGETS[re.sub("-(vnni|halved)$", "", target)], precision or "fp32")
    registers: Registers = goal.kernels.registers
    if isinstance(registers, ByteVectors):
        return replace(registers, dot=True) if target.endswith("-vnni") else registers
    return replace(registers, halved=target.endswith("-halved"))


def without_record(exported: Exported, name: str) -> list[Workload]:
    """Workloads of a network that have no record among those kept as this."""
    registers = registers_of(name)
    tiling = records.tilings(records.load(name), registers)
    return [work for work in workloads.workloads(exported, 1, registers) if tiling(work) is None]

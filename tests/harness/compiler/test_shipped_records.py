"""The tuning records that come with the project: whole, valid, and no better than they say."""

from pathlib import Path

import pytest

from facebench.architectures import registry
from facebench.harness.compiler import records
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm
from facebench.harness.compiler.tvm import resolve as resolve_target
from facebench.harness.compiler.vectors import vectors
from facebench.harness.models import export
from facebench.harness.models.networks import resolve

workloads = pytest.importorskip("facebench.harness.tuning.workloads")

# Each with what its costs must come from.
SHIPPED = {
    "x86-64-v3": ("seconds", "measured on"),
    "x86-64-v4": ("seconds", "measured on"),
    "cortex-a53": ("cycles", "modelled for cortex-a53"),
    "cortex-a72": ("cycles", "modelled for cortex-a72"),
    "cortex-a76": ("cycles", "modelled for cortex-a76"),
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


@pytest.mark.slow
@pytest.mark.parametrize("network", registry.paper_names())
def test_every_kernel_of_the_papers_networks_has_a_record_that_it_can_use(network: str) -> None:
    exported = export.export(resolve(network))
    for name in SHIPPED:
        target = resolve_target(TARGETS[name])
        described = import_tvm().target.Target(target.options())
        registers = vectors(target.triple, features_of(target, described))
        tiling = records.tilings(records.load(name), registers)
        found = workloads.workloads(exported, 1, registers)
        assert not [work for work in found if tiling(work) is None]

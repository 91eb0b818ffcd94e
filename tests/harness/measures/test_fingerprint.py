"""Which cases are obtained anew when code of ours changes: modules of a copy are edited."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import facebench
from facebench.architectures import registry
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.fingerprint import fingerprint, modules
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Per
from facebench.harness.models import export
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.case import Case
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage import fingerprints
from facebench.harness.storage.fingerprints import Sources
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.detectors.registry import DETECTORS

ROOT = Path(facebench.__file__).parent
NETWORK = Network("mobilefacenet")


def job(measure: str, **fields: object) -> Job:
    """A case of the measure, with what such cases name."""
    found = MEASURES[measure]
    on_faces = found.per is Per.DATASET
    runs = on_faces or found.per in (Per.DEVICE, Per.CORE, Per.BATCH)
    given = {
        "runtime": found.runtime or ("ncnn" if runs else ""),
        "dataset": "synthetic" if on_faces else "",
        **fields,
    }
    return Job(replace(Case(measure, NETWORK.name), **given), NETWORK)  # type: ignore[arg-type]


Edit = Callable[..., None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Edits modules of a copy, which fingerprints are of from then on."""
    for part in ("architectures", "harness"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", tmp_path)

    def change(*names: str) -> None:
        for name in names:
            path = tmp_path.joinpath(*name.split(".")[1:]).with_suffix(".py")
            with path.open("a") as file:
                file.write("\n# edited\n")
        monkeypatch.setattr(fingerprints, "OURS", Sources(tmp_path))

    return change


def changed(edit: Edit, jobs: Sequence[Job], names: Collection[str]) -> list[Job]:
    """The jobs whose code is another one after these modules were edited."""
    before = [fingerprints.code(*modules(one)) for one in jobs]
    edit(*names)
    after = [fingerprints.code(*modules(one)) for one in jobs]
    return [one for one, old, new in zip(jobs, before, after, strict=True) if old != new]


def every_measure() -> list[Job]:
    return [job(name) for name in MEASURES.names()]


@pytest.mark.parametrize("measure", MEASURES.names())
def test_a_measure_is_obtained_anew_when_its_module_is_edited(measure: str, edit: Edit) -> None:
    found = changed(edit, every_measure(), [MEASURES.module(measure)])
    # Times are modelled from counts.
    expected = {measure, "cycles"} if measure == "instructions" else {measure}
    assert {one.case.measure for one in found} == expected


@pytest.mark.parametrize("measure", ["cost", "export", "denormals", "latency", "compile"])
def test_the_fingerprint_has_the_code_in_it(measure: str, edit: Edit) -> None:
    wanted = job(measure, target="host") if measure == "compile" else job(measure)
    before = fingerprint(wanted)
    edit()
    assert fingerprint(wanted) == before
    edit(MEASURES.module(measure))
    assert fingerprint(wanted) != before


@pytest.mark.parametrize("room", ["cli", "comparison", "runs", "training", "tuning"])
def test_rooms_above_the_measures_change_no_figure(room: str, edit: Edit) -> None:
    folder = ROOT / "harness" / room
    paths = [path.relative_to(ROOT).with_suffix("") for path in folder.rglob("*.py")]
    names = [".".join(("facebench", *path.parts)) for path in paths if path.stem != "__init__"]
    assert names
    assert changed(edit, every_measure(), names) == []


@pytest.mark.parametrize("runtime", RUNTIMES.names())
def test_a_runtime_changes_its_own_cases_alone(runtime: str, edit: Edit) -> None:
    jobs = [
        job(measure.name, runtime=name)
        for measure in MEASURES
        if measure.per in (Per.DEVICE, Per.CORE, Per.BATCH, Per.DATASET)
        for name in RUNTIMES.names()
    ]
    module = RUNTIMES.module(runtime)
    found = changed(edit, jobs, [module])
    assert found == [one for one in jobs if RUNTIMES.module(one.case.runtime) == module]


def test_what_a_runtime_compiles_with_is_part_of_its_cases(edit: Edit) -> None:
    jobs = [job("latency", runtime=name) for name in RUNTIMES.names()]
    found = changed(edit, jobs, ["facebench.harness.compiler.kernels.depthwise"])
    assert [one.case.runtime for one in found] == ["tvm"]


def test_the_process_that_measures_the_peak_is_part_of_a_latency(edit: Edit) -> None:
    found = changed(edit, every_measure(), ["facebench.harness.timing.peak_worker"])
    assert [one.case.measure for one in found] == ["latency"]


@pytest.mark.parametrize("device", ["local", "rpc://board:9090"])
def test_a_device_changes_its_own_cases_alone(device: str, edit: Edit) -> None:
    jobs = [job("latency", device=name) for name in ("local", "rpc://board:9090")]
    found = changed(edit, jobs, [DEVICES.module(device)])
    assert [one.case.device for one in found] == [device]


@pytest.mark.parametrize("dataset", ["synthetic", "lfw"])
def test_a_dataset_changes_its_own_cases_alone(dataset: str, edit: Edit) -> None:
    jobs = [job("accuracy", dataset=name) for name in ("synthetic", "lfw")]
    found = changed(edit, jobs, [DATASETS.module(dataset)])
    assert [one.case.dataset for one in found] == [dataset]


@pytest.mark.parametrize("detector", DETECTORS.names())
def test_a_detector_changes_the_cases_whose_landmarks_it_finds(detector: str, edit: Edit) -> None:
    jobs = [replace(job("accuracy"), landmarks=name) for name in ("file", *DETECTORS.names())]
    found = changed(edit, jobs, [DETECTORS.module(detector)])
    assert [one.landmarks for one in found] == [detector]


def test_an_architecture_changes_its_own_networks_alone(edit: Edit) -> None:
    networks = [resolve(name) for name in registry.names()]
    before = [export.key(network) for network in networks]
    edit(registry.module("mobilefacenet"))
    found = {
        network.name
        for network, old in zip(networks, before, strict=True)
        if export.key(network) != old
    }
    own = registry.module("mobilefacenet")
    assert "mobilefacenet" in found
    assert found == {
        name for name in registry.names() if own in fingerprints.closure(registry.module(name))
    }
    assert len(found) < len(networks)

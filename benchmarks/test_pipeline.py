"""What the harness's own steps take: they bound how long a run is."""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from facebench.architectures.initialise import create
from facebench.harness.compiler import build
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.models import cost
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import resolve
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.registry import DATASETS

NETWORK = "mobilefacenet"


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def exported() -> Exported:
    return export(resolve(NETWORK))


def records(count: int) -> list[Record]:
    samples = tuple(np.random.default_rng(0).lognormal(2, 0.1, 200).tolist())
    latency = Latency(samples, samples[:10], 5.0, 1e-6)
    cases = [Case("latency", f"network_{i}", runtime="ncnn") for i in range(count)]
    return [Record(case, "measured", "ok", latency) for case in cases]


def test_create(benchmark: BenchmarkFixture) -> None:
    benchmark(create, NETWORK)


def test_count_cost(benchmark: BenchmarkFixture) -> None:
    module = create(NETWORK)
    benchmark(cost.count, module, (112, 112), 128)


def test_export(benchmark: BenchmarkFixture, fresh_cache: Path) -> None:
    benchmark.pedantic(export, (resolve(NETWORK),), rounds=1)


@pytest.mark.parametrize("target", TARGETS.names())
def test_compile(
    benchmark: BenchmarkFixture, exported: Exported, fresh_cache: Path, target: str
) -> None:
    benchmark.pedantic(build.compile_network, (exported, TARGETS[target], 1), rounds=1)


def test_draw_the_synthetic_set(benchmark: BenchmarkFixture, fresh_cache: Path) -> None:
    benchmark.pedantic(DATASETS["synthetic"].open, (None,), rounds=1)


def test_decode_and_align_an_image(benchmark: BenchmarkFixture) -> None:
    faces = DATASETS["synthetic"].open(None)
    key = faces.keys[0]
    benchmark(lambda: align(faces.picture(key), faces.landmarks[key], (112, 112)))


def test_append_a_record(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    (record,) = records(1)
    benchmark(Store(tmp_path / "records.jsonl").append, record)


def test_read_a_thousand_records(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    store = Store(tmp_path / "records.jsonl")
    for record in records(1000):
        store.append(record)
    benchmark(store.read)

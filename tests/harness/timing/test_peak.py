"""The loops do the work that is counted for them, and their figures reach the record."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import UnavailableError
from facebench.harness.models.networks import Network
from facebench.harness.records.latency import Latency
from facebench.harness.records.peak import NO_PEAK, Peak
from facebench.harness.records.record import from_json, to_json
from facebench.harness.runs.execute import perform
from facebench.harness.runs.jobs import latency_job
from facebench.harness.timing import peak, peak_worker
from facebench.harness.timing.peak_shapes import SHAPES, UNROLLED, Shape
from facebench.harness.timing.sampler import Budget

SHORT = Budget(warmup_s=0.01, sampling_s=0.01)


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from facebench.harness.compiler.tvm import import_tvm

    import_tvm()
    import tvm_ffi

    from facebench.harness.timing import peak_loops

    path = tmp_path_factory.mktemp("loops") / "loops.so"
    peak_loops.build(SHAPES, UNROLLED, path)
    return tvm_ffi.load_module(str(path))


def aligned(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    room = np.empty(values.size + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    room[start : start + values.size] = values
    return room[start : start + values.size]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rounds", [0, 1, 37])
def test_each_accumulator_is_multiplied_and_added_to_as_often_as_is_counted(
    loops: Any, shape: Shape, rounds: int
) -> None:
    start = np.arange(shape.elements, dtype=np.float64)
    accumulators = aligned(start)
    loops[f"fma_{shape}"](accumulators, rounds)
    # x -> 0.999 x + 1 has its fixed point at 1000, which it comes nearer to by 0.999 a time.
    left = 0.999 ** (rounds * UNROLLED)
    np.testing.assert_allclose(accumulators, 1000 + (start - 1000) * left, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("passes", [1, 3])
def test_every_element_is_read_as_often_as_is_counted(
    loops: Any, shape: Shape, passes: int
) -> None:
    data = np.random.default_rng(0).integers(0, 9, 5 * shape.elements).astype(np.float32)
    accumulators = aligned(np.zeros(shape.elements))
    loops[f"read_{shape}"](aligned(data), accumulators, passes)
    expected = passes * data.reshape(5, shape.elements).sum(axis=0)
    np.testing.assert_array_equal(accumulators, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_peak_has_every_repetition_of_each_loop(threads: int) -> None:
    found = peak.measure(threads)
    assert found.shape in map(str, SHAPES)
    assert len(found.multiply_adds_per_s) == len(found.memory_bytes_per_s) > 1
    assert min(*found.multiply_adds_per_s, *found.memory_bytes_per_s) > 0
    assert bool(found.cache_buffer_bytes) == bool(found.cache_bytes_per_s)


def test_without_tvm_one_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tvm_ffi.py").write_text("raise ImportError('none', name='tvm_ffi')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"tvm_ffi is not installed.*pip install") as caught:
        peak.measure(1)
    assert "\n" not in str(caught.value)


@given(st.floats(1e-9, 1.0))
def test_a_repetition_is_long_enough_and_not_much_longer(seconds_each: float) -> None:
    count = peak_worker.calibrated(lambda count: count * seconds_each)
    assert 0.002 < count * seconds_each < 0.008 or (count == 1 and seconds_each > 0.002)


@given(st.integers(0, 2**32))
def test_the_buffer_is_four_times_the_caches_or_refused(cache_bytes: int) -> None:
    assert peak_worker.memory_buffer_bytes(cache_bytes, 2**40) >= 4 * cache_bytes
    with pytest.raises(UnavailableError, match="MB of memory are free"):
        peak_worker.memory_buffer_bytes(cache_bytes, max(2**27, 6 * cache_bytes))


def test_a_record_of_latency_keeps_the_peak_of_its_machine(tiny: Network) -> None:
    made = perform(latency_job(tiny, "onnxruntime", 1, budget=SHORT))
    assert isinstance(made.result, Latency)
    assert isinstance(made.result.peak, Peak)
    assert NO_PEAK not in made.provenance
    assert from_json(json.loads(json.dumps(to_json(made)))).result == made.result


def test_where_there_is_no_peak_the_time_is_kept_and_the_record_says_why(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(threads: int) -> Peak:
        raise UnavailableError(f"nothing to measure {threads} thread with")

    monkeypatch.setattr(peak, "measure", measure)
    made = perform(latency_job(tiny, "onnxruntime", 1, budget=SHORT))
    assert isinstance(made.result, Latency)
    assert made.result.peak is None
    assert made.provenance[NO_PEAK] == "nothing to measure 1 thread with"


def test_a_time_of_schema_3_is_read_as_one_without_a_peak(tiny: Network) -> None:
    made = perform(latency_job(tiny, "onnxruntime", 1, budget=SHORT))
    data = to_json(made)
    del data["result"]["peak"]
    found = from_json(data | {"schema": 3})
    assert isinstance(made.result, Latency)
    assert found.result == replace(made.result, peak=None)

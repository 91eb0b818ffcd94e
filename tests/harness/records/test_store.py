"""Records survive the disk; a damaged file is named and mended, and nothing else is lost."""

import base64
import errno
import fcntl
import json
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.machine.busy import Share, Wait
from facebench.harness.machine.conditions import Conditions
from facebench.harness.machine.energy import Energy
from facebench.harness.machine.footprint import Footprint
from facebench.harness.machine.memory import Memory
from facebench.harness.records.accuracy import (
    Accuracy,
    Bounded,
    Identification,
    OperatingPoint,
)
from facebench.harness.records.artifacts import Compilation, Export
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost, LayerCost
from facebench.harness.records.denormals import DenormalCount, Denormals
from facebench.harness.records.instructions import Cycles, Instructions, KernelCount, Work
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.layers import LayerTime, LayerTimes
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Check, NewerError, Record, from_json, to_json
from facebench.harness.records.results import RESULTS, Result
from facebench.harness.records.store import Store, latest, paper_table
from facebench.harness.records.templates import TemplateSearch, TemplateVerification
from facebench.harness.records.throughput import Throughput
from facebench.harness.records.trials import TrialScores
from facebench.harness.storage import locks

times = st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=80).map(tuple)

WORK = Work(10, {"fma": 4, "load": 6}, 64, 16, (3, 2), 1, 6.5)

SCORES = PairScores.pack([0.75, 0.1], [True, False], [0, 1], [(0, 0), (0, 1)], "ab12")
POINT = OperatingPoint(0.1, 0.5, 3, 9)
LAYER = LayerCost("a.b", "conv", (1, 8, 4, 4), 10, {"conv+linear": 5}, 128)
CONDITIONS = Conditions((1,), Wait(0.1, True, 0.5, 1.0, None), Share(0.0, 1.0, 2))
FOOTPRINT = Footprint(90.0, 3.0, 9.0, Memory(10, 20, 30), Energy(2.0, 1.0, 9, 0.5))
HERE = Process(4.0, 1, 0, True, 33.0, "", CONDITIONS, 4096, FOOTPRINT)
THERE = Process(4.0, 0, 0, False)
EXAMPLES: dict[str, Result] = {
    "export": Export(17, 1000, 1e-6),
    "fields": Fields((2, 1), ((0.5,), (1.0,)), ((0.25,), (0.0,)), ((1.0,), (1.0,)), 16),
    "layers": LayerTimes((LayerTime("/a", "Conv", 0.5),), 50),
    "cost": Cost(
        3, 2, {"conv+linear": 9, "+bn": 10}, 4, 5, 6, 7, {"fp32": 8}, (112, 96), 128, (LAYER,)
    ),
    "compile": Compilation("aarch64-linux-gnu", "EM_AARCH64", ("neon",), 9, 1.5, {"plain": 3}),
    "latency": Latency(
        (1.0, 2.0), (3.0,), 4.0, 1e-6, "untuned", processes=(1, 1), process_facts=(HERE, THERE)
    ),
    "instructions": Instructions(
        "kryo",
        (64, 128),
        WORK,
        (KernelCount("conv", WORK), KernelCount("2 smaller ones", WORK)),
        1e-6,
        "untuned",
    ),
    "cycles": Cycles("kryo", "a board", 10**9, {"compute": 2e6}, {"1": 2.0, "4": 0.5}, "rows"),
    "throughput": Throughput((10.0, 11.0), "untuned", (35.0, 36.0), 35.0, CONDITIONS),
    "denormals": Denormals(
        4, (DenormalCount("conv.weight", 100, 3),), (DenormalCount("conv", 400, 0),)
    ),
    "accuracy": Accuracy(
        (0.9, 1.0), (0.1, 0.2), 2, "synthetic: no more", "sum", 10.0, SCORES, ("a.jpg",), 1
    ),
    "identification": Identification(
        9, 12, 99, (7, 8), (POINT,), (POINT, POINT), 3, "", "none", 10.0, 5.0, ("b.jpg",)
    ),
    "galleries": TemplateSearch(
        (1,),
        (Bounded(0.5, None, "few"),),
        (0.1,),
        (Bounded(0.5, (0.4, 0.6)),),
        ((0.2, 0.3),),
        (5, 6),
        9,
        (4, 5),
        7,
        30,
        "",
        "sum",
        9.0,
        5.0,
    ),
    "trials": TrialScores(
        0.001, (0.9, 0.8), 0.01, (0.7, 0.6), (9, 9), (99, 98), (5, 6), (3, 4), 30, 7, "", "sum", 9.0
    ),
    "templates": TemplateVerification(
        (POINT,), (Bounded(0.5, (0.4, 0.6)),), ("no",), 4, 9, 2, 4, 3, "groups", "", "sum", 9.0, 5.0
    ),
}


def record(network: str = "mobilefacenet", measure: str = "latency") -> Record:
    return Record(
        Case(measure, network, runtime="ncnn"),
        kind="measured",
        status="ok",
        result=EXAMPLES[measure],
        checks=(Check("quiet", False, "load 2.0"),),
        environment={"cpu_model": "x", "cores": 2},
        fingerprint="f",
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "records.jsonl")


@pytest.mark.parametrize("measure", RESULTS.names())
def test_a_record_of_every_measure_survives_json(measure: str) -> None:
    whole = record(measure=measure)
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole


def test_a_score_of_schema_1_is_read_as_one_without_pairs() -> None:
    data = to_json(record(measure="accuracy"))
    for name in ("scores", "not_found", "excluded_pairs"):
        del data["result"][name]
    for name in ("landmarks", "absent", "calibration"):
        del data["case"][name]
    found = from_json(data | {"schema": 1}).result
    assert isinstance(found, Accuracy)
    assert (found.scores, found.not_found, found.excluded_pairs) == (None, (), 0)
    assert found.fold_accuracies == (0.9, 1.0)


def test_a_time_of_schema_4_is_read_as_one_of_a_single_process() -> None:
    data = to_json(record())
    for name in ("processes", "process_facts"):
        del data["result"][name]
    found = from_json(json.loads(json.dumps(data | {"schema": 4}))).result
    assert isinstance(found, Latency)
    assert (found.by_process, found.process_facts) == ((found.samples_ms,), ())
    assert found.interval_ms == (1.0, 2.0)


@cache
def bomb() -> str:
    """A quarter of a gigabyte, packed into a quarter of a megabyte."""
    return base64.b64encode(zlib.compress(bytes(2**28 + 1), 1)).decode()


SHORTENED = {"half a bomb": lambda: bomb()[: len(bomb()) // 2], "a bomb": bomb}


@pytest.mark.parametrize("packed", ["", "no base64", "AAAA", *SHORTENED])
@pytest.mark.parametrize("name", ["packed_scores", "packed_same"])
def test_damaged_scores_are_one_sentence(packed: str, name: str) -> None:
    data = to_json(record(measure="accuracy"))
    data["result"]["scores"][name] = SHORTENED.get(packed, lambda: packed)()
    with pytest.raises(BadInputError, match="not a record of this project"):
        from_json(data)


@given(times, st.text())
def test_latencies_and_names_survive_json_to_the_last_bit(
    samples: tuple[float, ...], name: str
) -> None:
    whole = replace(record(name), result=Latency(samples, (), 0.0, 0.0))
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole


def test_what_is_appended_is_read_in_order(store: Store) -> None:
    for name in "abc":
        store.append(record(name))
    assert [r.case.network for r in store.read()] == ["a", "b", "c"]


def test_a_file_that_is_not_there_holds_no_records(store: Store) -> None:
    assert store.read() == []
    assert store.mend() is None


@given(st.integers(1, 400))
def test_a_file_cut_anywhere_names_its_line_and_mends_without_loss(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "records.jsonl")
        for name in "abc":
            store.append(record(name))
        whole = store.path.read_bytes()
        last = len(whole.splitlines(keepends=True)[-1])
        store.path.write_bytes(whole[: len(whole) - min(cut, last - 1)])
        if cut == 1:  # without its newline alone, the last record is still whole
            assert store.mend() is None
            store.append(record("d"))
            assert [r.case.network for r in store.read()] == ["a", "b", "c", "d"]
            return
        with pytest.raises(BadInputError, match="line 3 .*2 records before it are intact"):
            store.read()
        aside = store.mend()
        assert aside is not None
        assert [r.case.network for r in store.read()] == ["a", "b"]
        assert whole.startswith(store.path.read_bytes() + aside.read_bytes().rstrip(b"\n"))
        store.append(record("d"))
        assert [r.case.network for r in store.read()] == ["a", "b", "d"]


@pytest.mark.parametrize(
    "line", ["[]", "{}", '"x"', '{"schema": 1, "case": 3, "result": null}', "\x00", "nonsense"]
)
def test_a_line_that_is_no_record_is_named(store: Store, line: str) -> None:
    store.append(record())
    with store.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadInputError, match="line 2 "):
        store.read()


def test_a_record_of_a_newer_facebench_is_refused_with_the_mend(store: Store) -> None:
    store.path.parent.mkdir()
    store.path.write_text(json.dumps(to_json(record()) | {"schema": 99}) + "\n")
    with pytest.raises(BadInputError, match="newer facebench.*upgrade"):
        store.read()


def test_a_newer_record_is_no_damage_and_stays_where_it_is(store: Store) -> None:
    store.append(record("a"))
    newer = json.dumps(to_json(record()) | {"schema": 99}) + "\n"
    with store.path.open("a") as file:
        file.write(newer + newer[:99])
    assert store.mend() is not None
    assert store.path.read_text().endswith(newer)
    with pytest.raises(NewerError, match="line 2: .*upgrade"):
        store.read()


def test_a_record_after_half_a_line_is_not_lost_with_it(store: Store) -> None:
    store.append(record("a"))
    half = store.path.read_bytes()[:99]
    with store.path.open("ab") as file:
        file.write(half)
    store.append(record("b"))
    aside = store.mend()
    assert aside is not None
    assert aside.read_bytes() == half + b"\n"
    assert [r.case.network for r in store.read()] == ["a", "b"]


def _mend_often(path: Path) -> None:
    store = Store(path)
    for _ in range(50):
        with path.open("ab", buffering=0) as file:
            file.write(b'\n{"half": \n')
        store.mend()


def test_what_is_appended_while_another_run_mends_is_not_lost(store: Store) -> None:
    store.append(record("first"))
    with ProcessPoolExecutor(2) as pool:
        done = [pool.submit(_append_many, store.path, "a"), pool.submit(_mend_often, store.path)]
        for one in done:
            one.result()
    store.mend()
    names = [r.case.network for r in store.read()]
    assert names == ["first"] + ["a"] * 50


def test_a_full_disk_leaves_the_file_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(record("a"))
    before = store.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInputError, match="No space left.*intact"):
        store.append(record("b"))
    assert store.path.read_bytes() == before


def _append_many(path: Path, name: str) -> None:
    for _ in range(50):
        Store(path).append(record(name))


def test_two_processes_write_one_file_without_loss(store: Store) -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_append_many, [store.path] * 2, ["a", "b"]))
    names = [r.case.network for r in store.read()]
    assert sorted(names) == ["a"] * 50 + ["b"] * 50


def test_the_newest_record_of_each_case_counts() -> None:
    old, other = record("a"), record("b")
    new = replace(old, reason="newer")
    assert latest([old, other, new]) == [new, other]


@pytest.mark.parametrize(("number", "rows"), [(1, 10), (2, 11), (3, 16), (4, 9)])
def test_the_papers_tables_are_there(number: int, rows: int) -> None:
    assert len(paper_table(number)) == rows


def examples() -> list[Record]:
    return [
        Record(Case(measure, "mobilefacenet"), "measured", "ok", result)
        for measure, result in EXAMPLES.items()
    ]


@given(bit=st.integers(0, 7), where=st.floats(0, 1, exclude_max=True))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_bit_is_never_read_as_a_figure(tmp_path: Path, bit: int, where: float) -> None:
    path = tmp_path / f"{bit}-{where}.jsonl"
    path.unlink(missing_ok=True)  # of the same example, tried before
    store = Store(path)
    for record in examples():
        store.append(record)
    whole = store.read()
    data = bytearray(path.read_bytes())
    place = int(where * len(data))
    name = b', "crc32": "'  # of the checksum, and no part of what it seals
    named = data.rfind(name, 0, place + len(name))
    in_name = 0 <= named <= place < named + len(name)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    store.mend()
    left = store.read()
    assert all(record in whole for record in left)
    # A line's end that became something else joins two lines.
    assert len(whole) - 2 <= len(left) < len(whole) + in_name


def test_lines_without_a_checksum_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "records.jsonl")
    for record in examples():
        store.append(record)
    whole = store.read()
    lines = [json.loads(line) for line in store.path.read_text().splitlines()]
    assert all("crc32" in line for line in lines)
    anew = [json.dumps(line, separators=(",", ":")) for line in lines]
    store.path.write_text("\n".join(anew) + "\n")
    assert store.read() == whole


def test_a_disk_without_locks_is_said_once_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    locks._say_there_are_none.cache_clear()
    store = Store(tmp_path / "records.jsonl")
    record = Record(Case("export", "mobilefacenet"), "measured", "ok", EXAMPLES["export"])
    with pytest.warns(UserWarning, match="No locks available") as said:
        _append_twice(store, record)
    assert len(said) == 1
    assert len(store.read()) == 2


def _append_twice(store: Store, record: Record) -> None:
    store.append(record)
    store.append(record)

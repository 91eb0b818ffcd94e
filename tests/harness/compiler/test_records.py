"""Records come back as they were saved, and only where they hold."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler import build, records, tiling
from facebench.harness.compiler.integers import tiling as of_bytes
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.vectors import ByteVectors, Vectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Window, key
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported

AVX2 = Vectors(8, 16, by_lane=False)
WORK = Depthwise(1, (6, 6), (6, 6), 16, Window((3, 3), (1, 1), (1, 1)))
OTHER = Convolution(1, (4, 4), (4, 4), 8, 16, Window((1, 1)))

positive = st.floats(min_value=1e-9, max_value=1e9)
made = st.builds(
    TuningRecord,
    workload=st.text(min_size=1, max_size=30),
    tiling=st.dictionaries(st.text(max_size=8), st.integers(0, 2**31) | st.booleans(), max_size=4),
    tvm=st.just(version("apache-tvm")),
    cost=positive,
    scheduled=positive,
    unit=st.sampled_from(["seconds", "cycles"]),
    how=st.text(max_size=20),
    trials=st.integers(1, 10_000),
)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))
    return tmp_path


def record(
    work: Depthwise | Convolution = WORK, number: int = 1, **changes: object
) -> TuningRecord:
    """A record whose tiling is the workload's `number`-th."""
    found = list(tiling.candidates(work, AVX2))[number]
    made = records.made(
        work, found, cost=1.0, scheduled=2.0, unit="seconds", how="measured on paper", trials=8
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(st.lists(made, min_size=1, max_size=5, unique_by=lambda one: one.workload))
def test_what_is_saved_is_loaded_in_whatever_order(saved: list[TuningRecord]) -> None:
    for one in saved:
        records.save("some-target", one)
    path = records.own_file("some-target")
    assert records.load("some-target") == {one.workload: one for one in saved}
    workloads = [json.loads(line)["workload"] for line in path.read_text().splitlines()]
    assert workloads == sorted(workloads)
    path.unlink()


def test_a_newer_record_takes_the_place_of_an_older_one(own: Path) -> None:
    records.save("t", record(trials=8))
    records.save("t", record(trials=9))
    assert len((own / "t.jsonl").read_text().splitlines()) == 1
    assert records.load("t")[key(WORK)].trials == 9


def test_records_of_another_target_or_of_another_tvm_are_not_used(own: Path) -> None:
    records.save("t", record())
    records.save("t", record(OTHER, tvm="0.26.0"))
    assert records.load("another") == {}
    assert set(records.load("t")) == {key(WORK)}
    assert records.load("") == {}


def test_records_of_another_tvm_are_kept(own: Path) -> None:
    records.save("t", record(tvm="0.26.0"))
    records.save("t", record())
    assert len((own / "t.jsonl").read_text().splitlines()) == 2


def test_a_users_record_is_taken_before_the_shipped_one(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = own / "shipped"
    monkeypatch.setattr(records.shipped, "folder", lambda name: shipped)
    shipped.mkdir()
    lines = [json.dumps(asdict(record(work, how="shipped"))) + "\n" for work in (WORK, OTHER)]
    (shipped / "t.jsonl").write_text("".join(lines))
    records.save("t", record(how="mine"))
    found = records.load("t")
    assert (found[key(WORK)].how, found[key(OTHER)].how) == ("mine", "shipped")


@pytest.mark.parametrize(
    "line",
    [
        "<<<<<<< HEAD",
        "[]",
        json.dumps(asdict(record()) | {"cost": 0}),
        json.dumps(asdict(record()) | {"trials": "8"}),
        json.dumps(asdict(record()) | {"tiling": {"pixels": "4"}}),
        json.dumps({k: v for k, v in asdict(record()).items() if k != "unit"}),
    ],
)
def test_a_damaged_line_is_named(own: Path, line: str) -> None:
    records.save("t", record())
    with (own / "t.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadInputError, match=r"t\.jsonl, line 2, is no tuning record"):
        records.load("t")


def test_a_tiling_comes_back_as_it_was_found() -> None:
    for work in (WORK, OTHER):
        candidates = list(tiling.candidates(work, AVX2))
        for number in (0, len(candidates) - 1):
            found = {key(work): record(work, number)}
            assert records.tilings(found, AVX2)(work) == candidates[number]
    assert records.tilings({}, AVX2)(WORK) is None


def test_what_an_older_record_does_not_say_is_as_it_was() -> None:
    registers = ByteVectors(4, 32, dot=True, arm=True)
    chosen = of_bytes.tiling(WORK, registers)
    said = {name: value for name, value in asdict(chosen).items() if name != "rows"}
    older = replace(record(), tiling=said)
    assert records.tilings({key(WORK): older}, registers)(WORK) == replace(chosen, rows=1)


@pytest.mark.parametrize("change", [{"pixels": 99}, {"unknown": 1}])
def test_a_tiling_that_a_kernel_cannot_have_is_refused(change: dict[str, int]) -> None:
    edited = replace(record(), tiling={**record().tiling, **change})
    with pytest.raises(BadInputError, match="has a tiling that its kernel cannot have"):
        records.tilings({key(WORK): edited}, AVX2)(WORK)


def test_the_digest_changes_with_a_tiling_and_with_nothing_else() -> None:
    base = {key(WORK): record()}
    assert records.digest(base) == records.digest({key(WORK): record(cost=3.0, trials=99)})
    assert records.digest(base) != records.digest({key(WORK): record(number=0)})


def test_a_compile_uses_the_records_of_its_target_alone(tiny_exported: Exported) -> None:
    target = TARGETS["x86-64-v3"]
    before = build.compile_network(tiny_exported, target, 1)
    work = Depthwise(1, (8, 8), (8, 8), 8, Window((3, 3), (1, 1), (1, 1)), epilogue=("relu6",))
    records.save(target.name, record(work))
    after = build.compile_network(tiny_exported, target, 1)
    other = build.compile_network(tiny_exported, TARGETS["x86-64-v4"], 1)
    tuned = [made.compilation().kernels["tuned"] for made in (before, after, other)]
    assert tuned == [0, 1, 0]
    assert before.folder != after.folder


def test_records_of_a_precision_are_kept_apart_and_say_so(own: Path) -> None:
    bytes_of = {
        "t-vnni.int8": ByteVectors(16, 32, dot=True),
        "t.int8": ByteVectors(16, 32, dot=False),
        "a.int8": ByteVectors(4, 32, dot=True, arm=True),
    }
    for kept, registers in bytes_of.items():
        assert records.kept_as(kept[0], registers) == kept
    assert records.kept_as("t", AVX2) == "t"
    halved = Vectors(16, 32, False, halved=True)
    assert records.kept_as("t", halved) == "t-halved"
    assert records.kept_as("", halved) == ""
    assert records.kept_as("t", replace(AVX2, element="float16")) == "t.fp16"
    assert records.kept_as("", ByteVectors(16, 32, dot=True)) == ""
    records.save("t", record())
    records.save("t.int8", record(precision="int8", trials=3))
    assert records.load("t.int8")[key(WORK)].trials == 3
    assert records.load("t")[key(WORK)].trials == 8
    (own / "t.fp16.jsonl").write_text((own / "t.int8.jsonl").read_text())
    with pytest.raises(BadInputError, match="it is of int8, and its file of fp16"):
        records.load("t.fp16")


def test_what_is_stored_changes_with_records_of_any_precision(own: Path) -> None:
    before = records.stored("t"), records.stored("t2"), records.stored("host")
    records.save("t.int8", record(precision="int8"))
    after = records.stored("t"), records.stored("t2"), records.stored("host")
    assert [a != b for a, b in zip(after, before, strict=True)] == [True, False, True]

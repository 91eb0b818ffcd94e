"""What JSON and TOML hold becomes what its type says, or is refused in a sentence."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.baselines import from_text as baseline
from facebench.harness.comparison.tools.registry import TOOLS
from facebench.harness.compiler import records as tuning
from facebench.harness.machine import cores
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import resolve
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.runs import plan
from facebench.harness.storage.serialization import (
    Packed,
    convert,
    convert_settings,
    parse_json,
    parse_toml,
    to_text,
)
from facebench.harness.training import recipe
from tests.harness.records.test_store import EXAMPLES

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(json_values)
def test_json_is_parsed_as_pythons_own_parser_does(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(to_text(value).encode()) == value


@given(st.text(max_size=8))
def test_names_of_files_that_are_no_unicode_survive(name: str) -> None:
    broken = name + "\udcff"
    assert parse_json(to_text({"name": broken})) == {"name": broken}


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    with suppress(BadInputError):
        parse_json(data)


@given(st.binary())
def test_packed_bytes_survive_their_text(data: bytes) -> None:
    assert Packed.from_text(Packed(data).to_text()) == data


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record of any measure, with the result of the examples."""
    measure = draw(st.sampled_from(sorted(EXAMPLES)))
    texts = {f.name: draw(st.text(max_size=9)) for f in fields(Case) if f.type == "str"}
    case = Case(**texts | {"measure": measure})  # type: ignore[arg-type]
    return Record(
        replace(case, threads=draw(st.integers(1)), batch=draw(st.integers(1))),
        draw(st.text()),
        draw(st.text()),
        draw(st.sampled_from([None, EXAMPLES[measure]])),
        draw(st.text()),
        environment=draw(st.dictionaries(st.text(), json_values, max_size=3)),
        duration_s=draw(st.floats(0, 1e9)),
    )


@given(records())
def test_any_record_that_is_written_is_read_back_equal(record: Record) -> None:
    assert from_json(parse_json(to_text(to_json(record)))) == record


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in JSON; of a list, those of its first two elements."""
    found = [path]
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data[:2]):
            found += places(value, (*path, index))
    return found


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of JSON with another value in a place."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_value_in_place_of_any_is_of_its_type_or_refused(data: st.DataObject) -> None:
    measure = data.draw(st.sampled_from(sorted(EXAMPLES)))
    whole = Record(Case(measure, "n"), "measured", "ok", EXAMPLES[measure])
    plain = json.loads(to_text(to_json(whole)))
    path = data.draw(st.sampled_from(places(plain)))
    changed = put(plain, path, data.draw(json_values))
    try:
        found = from_json(changed)
    except BadInputError:
        return
    # What is accepted says the same when it is written again: nothing became another type.
    again = json.loads(to_text(to_json(found)))
    for name in set(again) - {"schema"}:
        assert same(again[name], changed.get(name, again[name]))


def same(a: Any, b: Any) -> bool:
    """Whether JSON is the same to the type, but that a whole number may stand for any."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() >= b.keys() and all(same(a[key], b[key]) for key in b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and type(b) is int:
        return a == float(b)
    return type(a) is type(b) and bool(a == b)


HOSTILE_JSON = {
    "digits": "9" * 5000,
    "fraction": "0." + "9" * 5000,
    "exponent": "1e999",
    "arrays": "[" * 100_000,
    "objects": '{"a": ' * 100_000,
    "surrogate": r'"\ud800"',
    "surrogates": r'"\udcff\ud800"',
    "surrogate and infinity": r'["\ud800", 1e999, NaN]',
    "surrogate and depth": r'["\ud800"' + ", [" * 100_000,
    "nul": r'"a\u0000b"',
    "nan": "NaN",
    "infinity": "-Infinity",
    "half": '{"a": 1, "b"',
    "nothing": "",
}
USES = {
    "json": lambda text: parse_json(text),
    "record": lambda text: from_json(parse_json(text)),
    "case": lambda text: from_json(parse_json('{"schema": 7, "case": ' + text + "}")),
    "baseline": lambda text: baseline(text, "x"),
    "entry": lambda text: baseline('{"format": 1, "figures": [], "case": ' + text + "}", "x"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_a_value_or_a_sentence(name: str, use: str) -> None:
    try:
        USES[use](HOSTILE_JSON[name])
    except BadInputError as error:
        said = str(error)
        assert 10 < len(said) < 300
        assert "\n" not in said


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_a_hostile_tuning_record_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(HOSTILE_JSON[name] + "\n{}")
    with pytest.raises(BadInputError, match=r"t\.jsonl, line \d, is no tuning record"):
        list(tuning._read(path))


HOSTILE_TOML = {
    "digits": "9" * 5000,
    "arrays": "[" * 100_000,
    "tables": "{a = " * 100_000,
    "surrogate": r'"\ud800"',
    "nan": "nan",
    "infinity": "-inf",
    "negative": "-1",
    "negatives": "[-1]",
    "long": "[" + "9" * 400 + "]",
    "date": "1979-05-27",
    "nothing": "",
}
KEYS = [
    *((plan.load, key) for key in ("threads", "sampling_s", "weights")),
    *((recipe.load, key) for key in ("batch", "learning_rate", "drops")),
]


@pytest.mark.parametrize(("load", "key"), KEYS, ids=[key for _, key in KEYS])
@pytest.mark.parametrize("name", HOSTILE_TOML)
def test_hostile_toml_is_a_sentence(name: str, load: Any, key: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"{key} = {HOSTILE_TOML[name]}")
    with pytest.raises(BadInputError, match=r"own\.toml") as raised:
        load(str(path))
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("name", HOSTILE_TOML)
def test_hostile_cores_are_a_sentence(name: str) -> None:
    with pytest.raises(BadInputError):
        cores.parse(f"kryo = {HOSTILE_TOML[name]}")


@dataclass(frozen=True)
class Settings:
    """Settings of each kind."""

    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    count: Annotated[int, Meta(ge=1, le=1000)] = 1
    kind: Literal["a", "b"] = "a"
    on: bool = False
    name: str = ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shares = 1", r"unknown key 'shares': did you mean share\? \(known: share, count"),
        ("share = 2", "share = 2 is not valid: a number from 0 to 1"),
        ("share = nan", "share = nan is not valid"),
        ("share = true", "share = True is not valid"),
        ("count = 2.0", "count = 2.0 is not valid: a whole number from 1 to 1,000"),
        ("kind = 'c'", "kind = 'c' is not valid: one of a, b"),
        ("on = 1", "on = 1 is not valid: true or false"),
        ("name = 'x'", "unknown key 'name'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_may_be(text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=f"f.toml: {said}"):
        convert_settings(parse_toml(text), Settings, "f.toml", reserved=("name",))


def test_a_whole_number_of_a_recipe_stays_one() -> None:
    assert type(recipe.checked({"epochs": 30}, "x", "x").epochs) is int


def test_a_job_comes_back_in_another_process() -> None:
    job = replace(Job(Case("cost", "mobilefacenet"), resolve("mobilefacenet")), data=Path("/a"))
    assert convert(parse_json(to_text(job.to_json())), Job) == job


@pytest.mark.parametrize("median", ["1.0", True, None, [], -1.0])
def test_a_foreign_time_that_is_none_is_refused(median: object) -> None:
    data = {"benchmarks": [{"name": "x", "stats": {"median": median, "rounds": 3}}]}
    with pytest.raises(BadInputError, match=r"where\.json is no JSON file of pytest-benchmark"):
        TOOLS["pytest-benchmark"].entries(data, "where.json")


def test_a_session_needs_no_msgspec() -> None:
    # The emulated machine has a few packages only.
    code = (
        "import sys; sys.modules['msgspec'] = None\n"
        "import facebench.harness.runtimes.session_process"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

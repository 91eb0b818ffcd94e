"""A few attacks of each kind; `python -m tests.faults.attacks` makes twenty thousand."""

import random
import shutil
from pathlib import Path

import pytest

from tests.faults import attack_kinds, attacks
from tests.faults.attack_kinds import ATTACKS
from tests.faults.attacks import ENDS, Attack, Try, attempt
from tests.sampling import today

# What takes seconds each is left to the campaign, and to tests of its own.
_QUICK = [name for name in ATTACKS if name not in ("onnx", "boards")]


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    attacks.warm()


@pytest.mark.parametrize(
    "name",
    [
        *today(_QUICK, 3),
        *(pytest.param(n, marks=pytest.mark.slow) for n in ATTACKS if n not in _QUICK),
    ],
)
def test_an_attack_ends_in_a_result_or_a_sentence(
    name: str, tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attack_kinds, "_AT_ONCE", 4)
    for _ in range(3):
        ends, said = attempt(ATTACKS[name], tmp_path / "try", chance)
        assert not said
        assert not any(ends[end] for end in ENDS[2:])


def _raise() -> None:
    raise KeyError("a defect")


def _write(one: Try) -> None:
    (one.folder / "outside/victim").write_text("gone")


def _lose(one: Try) -> None:
    one.out.mkdir()
    (one.out / "records.jsonl").write_bytes(b"kept\n")
    one.kept = (b"kept",)
    one.before = lambda: shutil.rmtree(one.out)


@pytest.mark.parametrize(
    ("end", "attack"),
    [
        ("traceback", lambda one, chance: setattr(one, "before", _raise)),
        ("written outside", lambda one, chance: setattr(one, "before", lambda: _write(one))),
        ("lost", lambda one, chance: _lose(one)),
        ("one sentence", lambda one, chance: one.commands.append(["cost", "--", "no-such"])),
        ("accepted", lambda one, chance: one.commands.append(["list", "runtimes"])),
    ],
)
def test_what_may_not_happen_is_counted(
    end: str, attack: object, tmp_path: Path, chance: random.Random
) -> None:
    assert callable(attack)
    ends, said = attempt(Attack("any", 1, attack), tmp_path / "try", chance)
    assert ends[end] == 1
    assert bool(said) == (end in ENDS[2:])

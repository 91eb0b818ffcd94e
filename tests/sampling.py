"""Which of many combinations the quick tests take; `tox -e full` takes all of them."""

import os
import random
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest

from facebench.architectures import registry


def covering(*axes: Sequence[Any], of_first: slice = slice(None)) -> list[Any]:
    """All combinations of values, of which the quick tests take as many as meet each value.

    The first values of all axes go together, then the second ones; a shorter axis begins again.
    Of the first axis the quick tests may take a part only, as in `sixth`.
    """
    taken = (axes[0][of_first], *axes[1:])
    quick = {tuple(axis[i % len(axis)] for axis in taken) for i in range(max(map(len, taken)))}
    return [
        pytest.param(*each, marks=() if each in quick else pytest.mark.slow)
        for each in product(*axes)
    ]


def sixth(values: Sequence[Any], first: int) -> list[Any]:
    """All values, of which the quick tests take every sixth, others every day.

    Args:
        values: registered things that one mechanism is tried on.
        first: from 0 to 5. Of properties that have different ones, each value is held to some.
    """
    taken = turn(first)
    return [
        pytest.param(value, marks=() if i % 6 == taken else pytest.mark.slow)
        for i, value in enumerate(values)
    ]


def turn(first: int) -> int:
    """Return where the quick tests begin with every sixth value; `conftest.SEED` draws it."""
    return (first + random.Random(os.environ["FACEBENCH_TEST_SEED"]).randrange(6)) % 6


def large(*axes: Sequence[Any]) -> list[Any]:
    """All large networks, alone or with values of other axes, of which the quick tests take none.

    `tests/harness/models/test_large.py` counts them without their weights.
    """
    found = [name for name in registry.names() if registry.find(name).large]
    return [pytest.param(*each, marks=pytest.mark.slow) for each in product(found, *axes)]


def today(values: Sequence[Any], count: int) -> list[Any]:
    """All values, of which the quick tests take so many, others every day.

    For few or dear ones that one mechanism is tried on: runtimes, losses, ways to go wrong.
    `conftest.SEED` draws them.
    """
    seed = f"{os.environ['FACEBENCH_TEST_SEED']} {len(values)} {count}"
    quick = random.Random(seed).sample(range(len(values)), count)
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if i in quick else pytest.mark.slow,
        )
        for i, value in enumerate(values)
    ]

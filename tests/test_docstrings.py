"""What the docstrings of the product say, and the names that arrays' types have."""

from __future__ import annotations

import pytest

from tests import docstrings

ON_ARRAYS = [function for function in docstrings.functions() if function.takes_arrays]


def test_public_functions_on_arrays_state_shapes() -> None:
    assert [str(one) for one in ON_ARRAYS if not one.states_a_shape] == []
    assert len(ON_ARRAYS) > 100


def test_docstrings_are_sentences() -> None:
    assert list(docstrings.phrases()) == []


@pytest.mark.parametrize(
    "words",
    [
        "Map `(N, 3, H, W)` to `(N, E)`.",
        "Scores `(N,)`.",
        "Replicates `(..., T)`.",
        "Weights (F, C, 3, 3), flat.",
        "An array of any shape.",
    ],
)
def test_a_shape_is_known_where_it_is_written(words: str) -> None:
    assert docstrings.SHAPE.search(words)


@pytest.mark.parametrize(
    "words", ["Scores of pairs.", "Tango's interval (Tango, 1998).", "See `roc(scores, same)`."]
)
def test_no_shape_is_seen_where_none_is_written(words: str) -> None:
    assert not docstrings.SHAPE.search(words)

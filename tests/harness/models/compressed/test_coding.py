"""Compressed weights come back as they went, in the bits that theory says, and no other way."""

import heapq
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2

from facebench.architectures.errors import BadInputError
from facebench.harness.models.compressed import huffman
from facebench.harness.models.compressed.coding import CompressionSetting, coded, expanded
from facebench.harness.models.compressed.pruning import nearest, prune, shared_values

SYMBOLS = st.lists(st.integers(0, 255), max_size=300)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(symbols=SYMBOLS, repeated=st.integers(1, 60))
def test_symbols_come_back(symbols: list[int], repeated: int) -> None:
    given_ = np.array(symbols * repeated, np.uint8)
    np.testing.assert_array_equal(huffman.decode(huffman.encode(given_)), given_)


def test_bits_are_between_the_entropy_and_a_bit_more() -> None:
    """Shannon's bounds of any optimal code of single symbols."""
    draw = np.random.default_rng(0)
    symbols = draw.geometric(0.1, 100_000).clip(1, 256).astype(np.int64) - 1
    shares = np.bincount(symbols) / len(symbols)
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    found = 8 * len(huffman.encode(symbols.astype(np.uint8)).bits) / len(symbols)
    assert entropy <= found < entropy + 1


def test_lengths_are_those_of_the_textbook() -> None:
    """The sum of products of lengths and counts is the sum of all merged counts."""
    counts = np.array([45, 13, 12, 16, 9, 5])
    heap, total = sorted(counts.tolist()), 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    assert (huffman.code_lengths(counts) * counts).sum() == total == 224


def test_no_code_is_longer_than_the_longest() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.code_lengths(np.array(fibonacci))
    assert lengths.max() <= huffman.LONGEST
    assert (2.0 ** -lengths.astype(float)).sum() == 1


def test_the_smallest_weights_go() -> None:
    weights = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32)
    pruned = prune(weights, 0.7)
    assert (pruned == 0).sum() == int(0.7 * weights.size)
    kept = pruned != 0
    np.testing.assert_array_equal(pruned[kept], weights[kept])
    assert np.abs(weights[~kept]).max() <= np.abs(weights[kept]).min()


def test_values_are_shared_as_by_another_k_means() -> None:
    values = np.random.default_rng(1).standard_normal(3000).astype(np.float32)
    centres = shared_values(values, 4)
    start = np.linspace(values.min(), values.max(), 16)[:, None]
    other, _ = kmeans2(values[:, None].astype(float), start, iter=200, minit="matrix")
    np.testing.assert_allclose(centres, np.sort(other[:, 0]), atol=2e-3)
    brute = np.abs(values[:, None] - centres).argmin(1)
    assert np.mean(nearest(values, centres) == brute) > 0.999


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99),
    sparsity=st.sampled_from([0.0, 0.3, 0.9, 0.999]),
    bits=st.integers(1, 8),
    shape=st.sampled_from([(16, 8, 1, 1), (40, 1, 3, 3), (64, 100), (1, 1)]),
)
def test_a_network_comes_back_pruned_and_shared(
    seed: int, sparsity: float, bits: int, shape: tuple[int, ...]
) -> None:
    draw = np.random.default_rng(seed)
    state = {
        "layer.weight": draw.standard_normal(shape).astype(np.float32),
        "layer.bias": draw.standard_normal(shape[0]).astype(np.float32),
        "norm.running_var": (1e6 * draw.random(5)).astype(np.float32),
        "scale": np.float32(draw.random()).reshape(()),
    }
    found = expanded(*coded(state, CompressionSetting(sparsity, bits)))
    assert list(found) == list(state)
    pruned = prune(state["layer.weight"], sparsity)
    np.testing.assert_array_equal(found["layer.weight"] == 0, pruned == 0)
    if pruned.any():
        assert len(np.unique(found["layer.weight"][pruned != 0])) <= 2**bits
    for name in ("layer.bias", "norm.running_var", "scale"):
        np.testing.assert_allclose(found[name], state[name], rtol=2.0**-11)


def damaged() -> list[tuple[bytes, str]]:
    weights = np.random.default_rng(0).standard_normal((30, 40)).astype(np.float32)
    content, described = coded({"w": weights}, CompressionSetting(0.5, 4))
    (fields,) = json.loads(described)

    def told(**other: Any) -> str:
        names = ["name", "shape", "kind", "centres", "values", "value_bytes", "gaps", "gap_bytes"]
        return json.dumps([[other.get(n, f) for n, f in zip(names, fields, strict=True)]])

    longer = bytes([*content[:32], *([17] * 16), *content[48:]])
    return [
        (content[:-1], described),
        (content + b"x", described),
        (content, told(shape=[30, 30])),
        (content, told(shape=[1 << 20, 1 << 20])),
        (content, told(kind="pickle")),
        (content, told(centres=-1)),
        (content, told(values=1 << 40)),
        (content, told(values=fields[4] - 1)),
        (content, told(gaps=0)),
        (content, "[[1]]"),
        (content, "{}"),
        (longer, described),
        (bytes(len(content)), described),
        (content, told(shape=[1] * 70 + [30, 40])),
        # A symbol less: bits that no code begins with.
        (bytes([*content[:32], 0, *content[33:]]), described),
        # The first block begins a bit late.
        (bytes([*content[:48], 1, *content[49:]]), described),
    ]


@pytest.mark.parametrize("number", range(len(damaged())))
def test_a_file_that_is_damaged_is_refused(number: int) -> None:
    with pytest.raises(BadInputError):
        expanded(*damaged()[number])

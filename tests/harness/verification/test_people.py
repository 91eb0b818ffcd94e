"""Who is in pairs, recovered from equal images and genuine pairs."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facebench.harness.verification.faces import Pair, PairSet
from facebench.harness.verification.people import groups, numbers


class Bytes:
    """Files whose content is given."""

    def __init__(self, content):
        self.content = content

    def __contains__(self, name):
        return name in self.content

    def read(self, name):
        return self.content[name]

    def describe(self, name):
        return name


def pair_set(pairs, content=None, identities=None):
    keys = {key for first, second, _ in pairs for key in (first, second)}
    content = {key: key.encode() for key in keys} | (content or {})
    made = tuple(Pair(first, second, same, 0) for first, second, same in pairs)
    return PairSet("x", "", Bytes(content), {}, identities or {}, made)


def test_genuine_pairs_that_share_an_image_are_of_one_person():
    found, recovered = numbers(pair_set([("a", "b", True), ("b", "c", True), ("a", "d", False)]))
    assert recovered
    assert found == [(0, 0), (0, 0), (0, 1)]


def test_equal_images_show_one_person():
    faces = pair_set([("a", "b", True), ("c", "d", True)], {"c": b"a"})
    assert len(set(groups(faces).values())) == 1


def test_pairs_without_a_common_image_tell_nothing():
    faces = pair_set([("a", "b", True), ("c", "d", True), ("e", "f", False)])
    assert groups(faces) == {}
    assert numbers(faces) == ([], False)


def test_named_people_are_not_recovered():
    faces = pair_set(
        [("a", "b", True), ("a", "c", False)], identities={"a": "A", "b": "A", "c": "C"}
    )
    assert numbers(faces) == ([(0, 0), (0, 1)], False)


@given(st.integers(0, 2**32 - 1))
def test_groups_are_the_components_of_the_graph(seed):
    rng = np.random.default_rng(seed)
    drawn = [(*rng.choice(30, 2, replace=False), bool(rng.random() < 0.5)) for _ in range(40)]
    faces = pair_set([(f"i{a}", f"i{b}", same) for a, b, same in drawn])
    edges = np.array([[a, b] for a, b, same in drawn if same]).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), (30, 30))
    _, labels = connected_components(graph, directed=False)
    found = groups(faces)
    for one, other in pairwise(faces.keys):
        assert (found[one] == found[other]) == (labels[int(one[1:])] == labels[int(other[1:])])

"""The 10-fold protocol against brute force, scikit-learn, and a network of others."""

import dataclasses
import json
import time
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import LeaveOneGroupOut

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record, from_json, to_json
from facebench.harness.verification.datasets.registry import DATASETS, available
from facebench.harness.verification.embedding import Embedder, extract
from facebench.harness.verification.faces import Pair
from facebench.harness.verification.folds import best_threshold, cross_validate
from facebench.harness.verification.protocol import cosine_scores, score, verify

PAPER = Preprocessing()
IMAGENET = Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

few_scores = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1
)
scored = st.lists(st.tuples(st.floats(-1, 1, width=32), st.booleans()), min_size=1, max_size=60)


def right(scores, same, threshold):
    return np.sum((scores >= threshold) == same)


@given(scored | few_scores)
def test_no_threshold_is_better_on_the_other_folds(data):
    scores, same = np.array([s for s, _ in data], float), np.array([x for _, x in data])
    chosen = best_threshold(scores, same)
    assert np.isfinite(chosen)
    everything = [*scores, 2.0]
    assert right(scores, same, chosen) == max(right(scores, same, t) for t in everything)


@given(scored | few_scores, st.randoms())
def test_the_threshold_does_not_hang_on_the_order_of_pairs(data, random):
    def threshold(pairs):
        return best_threshold(
            np.array([s for s, _ in pairs], float), np.array([x for _, x in pairs])
        )

    before = threshold(data)
    random.shuffle(data)
    assert threshold(data) == before


@pytest.mark.parametrize(
    ("scores", "same", "expected"),
    [
        # Separable: midway.
        ([0.0, 0.2, 0.6, 0.8], [0, 0, 1, 1], 0.4),
        # Two thresholds are right on all but one: the lower; three on all but two: the middle one.
        ([0.0, 0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1, 1], 0.1),
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0, 1, 0, 1, 0, 1], 0.5),
        # All genuine: everything is accepted; all impostor: nothing is.
        ([0.5, 0.5], [1, 1], 0.5),
        ([0.5, 0.5], [0, 0], np.nextafter(0.5, 1)),
        # No number lies between these two.
        ([0.5, np.nextafter(0.5, 1)], [0, 1], np.nextafter(0.5, 1)),
    ],
)
def test_ties_are_resolved_as_documented(scores, same, expected):
    assert best_threshold(np.array(scores), np.array(same, bool)) == pytest.approx(expected, abs=0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 10]))
def test_folds_agree_with_scikit_learn(seed, count):
    rng = np.random.default_rng(seed)
    same = rng.random(40 * count) < 0.5
    scores = np.round(rng.normal(0.25 + 0.3 * same, 0.2).clip(-1, 1), 2)
    folds = np.arange(len(scores)) % count
    accuracies, thresholds = cross_validate(scores, same, folds)
    assert len(accuracies) == len(thresholds) == count
    for fold, (train, test) in enumerate(LeaveOneGroupOut().split(scores, same, folds)):
        false, true, _ = roc_curve(same[train], scores[train], drop_intermediate=False)
        most = np.max(true * same[train].sum() + (1 - false) * (~same[train]).sum())
        assert right(scores[train], same[train], thresholds[fold]) == pytest.approx(most)
        held_out = right(scores[test], same[test], thresholds[fold]) / len(test)
        assert accuracies[fold] == pytest.approx(held_out)


def test_a_fold_does_not_see_its_own_pairs():
    # In fold 0 alone the order is the other way round: its own best threshold would do better.
    scores = np.array([0.1, 0.9, 0.9, 0.1, 0.8, 0.2])
    same = np.array([True, False, True, False, True, False])
    accuracies, _ = cross_validate(scores, same, np.array([0, 0, 1, 1, 2, 2]))
    assert accuracies[0] == 0.0


def test_one_fold_is_refused():
    with pytest.raises(BadInputError, match="at least two folds"):
        cross_validate(np.array([0.1, 0.9]), np.array([False, True]), np.array([0, 0]))


def test_scores_are_cosines():
    embeddings = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)
    keys = list("abcdef")
    pairs = [Pair(first, second, False, 0) for first in keys for second in keys]
    scores = cosine_scores(embeddings, keys, pairs).reshape(6, 6)
    np.testing.assert_allclose(scores, cosine_similarity(embeddings), atol=1e-6)
    assert np.abs(scores).max() <= 1


def pixels(inputs):
    """Coarse pixels as an embedding."""
    n = len(inputs)
    return inputs.reshape(n, 3, 16, 7, 16, 7).mean(axis=(3, 5)).reshape(n, -1)


def evaluate(faces, streams, preprocessing=PAPER, batch=1, flip="none"):
    embedder = Embedder(streams, preprocessing, (112, 112), batch, uuid.uuid4().hex)
    extraction = extract(faces, faces.keys, embedder, flip)
    scores = score(faces, faces.keys, extraction.embeddings)
    return verify(scores, faces.label, flip, extraction.images_per_second)


def test_a_dataset_is_scored_from_files_to_folds():
    faces = DATASETS["synthetic"].open(None)
    found = evaluate(faces, [pixels], batch=16, flip="sum")
    assert len(found.fold_accuracies) == len(found.fold_thresholds) == 10
    assert found.pairs == 600
    assert found.label == faces.label
    assert found.flip == "sum"
    assert found.images_per_second > 0
    assert 0.55 < found.accuracy < 1


def test_the_score_does_not_hang_on_the_batch(layout):
    faces = DATASETS["lfw"].open(layout.root)
    scores = [evaluate(faces, [pixels], batch=b) for b in (1, 3)]
    assert scores[0].fold_accuracies == scores[1].fold_accuracies


def test_the_figures_of_a_record_follow_from_its_scores(layout):
    faces = DATASETS["lfw"].open(layout.root)
    found = evaluate(faces, [pixels])
    assert found.scores is not None
    accuracies, thresholds = cross_validate(
        found.scores.scores.astype(float), found.scores.same, found.scores.folds
    )
    assert (accuracies, thresholds) == (found.fold_accuracies, found.fold_thresholds)
    assert found.scores.identities[:3].tolist() == [[0, 0], [1, 1], [0, 1]]
    again = from_json(json.loads(json.dumps(to_json(record_of(found)))))
    assert again.result == found


def record_of(accuracy):
    return Record(Case("accuracy", "n"), "measured", "ok", accuracy)


def test_pairs_of_rejected_images_are_never_called_the_same(layout):
    faces = DATASETS["lfw"].open(layout.root)
    rejected = frozenset({"Ann/Ann_0001.jpg"})
    keys = [key for key in faces.keys if key not in rejected]
    embeddings = np.random.default_rng(0).normal(size=(len(keys), 8)).astype(np.float32)
    found = score(faces, keys, embeddings, rejected)
    touched = [rejected & {pair.first, pair.second} != set() for pair in faces.pairs]
    assert sum(touched) == 2
    assert (found.scores[touched] == -1).all()
    assert (found.scores[np.invert(touched)] > -1).all()


def test_the_digest_of_pairs_tells_other_pairs_and_other_images_apart(layout):
    faces = DATASETS["lfw"].open(layout.root)
    embeddings = np.eye(8, dtype=np.float32)

    def digest(faces):
        return score(faces, faces.keys, embeddings).digest

    assert digest(faces) == digest(DATASETS["lfw"].open(layout.root))
    fewer = dataclasses.replace(faces, pairs=faces.pairs[:-1])
    assert digest(fewer) != digest(faces)
    image = layout.image("Ann_0001.jpg")
    image.write_bytes(layout.image("Bob_0001.jpg").read_bytes())
    assert digest(DATASETS["lfw"].open(layout.root)) != digest(faces)


@pytest.mark.slow
def test_the_public_mobilefacenet_reaches_its_score_on_lfw(data_root):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = data_root / "mobilefacenet_public.onnx"
    if "lfw" not in available(data_root) or not path.is_file():
        pytest.skip(f"no LFW or no mobilefacenet_public.onnx in {data_root}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    start = time.perf_counter()
    found = evaluate(
        DATASETS["lfw"].open(data_root),
        [lambda inputs: session.run(None, {name: inputs})[0]] * 2,
        IMAGENET,
        flip="sum",
    )
    print(
        f"LFW {found.accuracy:.4%}, fold standard deviation {found.fold_standard_deviation:.4%}, "
        f"{found.images_per_second:.0f} images a second, {time.perf_counter() - start:.0f} s"
    )
    assert found.accuracy >= 0.9935
    assert found.fold_standard_deviation < 0.006

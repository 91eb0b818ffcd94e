"""BLUFR: its lists as its toolkit has them, and its rates against whole matrices of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.records.trials import over_trials
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.faces import TrialSet
from facebench.harness.verification.inspection import inspect
from facebench.harness.verification.preparation import settle
from facebench.harness.verification.trials import trial_rates
from tests.harness.verification import made_trials

BLUFR = DATASETS["blufr"]


def opened(root: Path) -> TrialSet:
    faces = BLUFR.open(root)
    assert isinstance(faces, TrialSet)
    return faces


def plain(embeddings: np.ndarray, faces: TrialSet) -> list[tuple[float, float]]:
    """TAR and the share found, from whole matrices of scores, sorted."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    people = faces.people
    rates = []
    for trial in faces.trials:
        pairs = [(i, j) for n, i in enumerate(trial.test) for j in trial.test[:n]]
        scores = np.array([unit[i] @ unit[j] for i, j in pairs])
        same = np.array([people[i] == people[j] for i, j in pairs])
        others = np.sort(scores[~same])[::-1]
        accepted = scores[same] >= others[round(0.001 * len(others)) - 1]
        first = []
        alarms = sorted(
            (max(unit[p] @ unit[g] for g in trial.gallery) for p in trial.probes
             if people[p] not in people[trial.gallery]),
            reverse=True,
        )  # fmt: skip
        threshold = alarms[round(0.01 * len(alarms)) - 1] if alarms else 0
        for p in trial.probes:
            if people[p] in people[trial.gallery]:
                best = max(trial.gallery, key=lambda g: float(unit[p] @ unit[g]))
                first.append(people[best] == people[p] and unit[p] @ unit[best] >= threshold)
        rates.append((float(accepted.mean()), float(np.mean(first))))
    return rates


def test_rates_are_those_of_whole_matrices(tmp_path: Path) -> None:
    made_trials.write(tmp_path, trials=4)
    faces = opened(tmp_path)
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(31, 8))
    embeddings = centres[faces.people] + 0.45 * rng.normal(size=(len(faces.images), 8))
    # Of 60 strangers' probes 1 % is one.
    found = trial_rates(embeddings.astype(np.float32), faces)
    expected = plain(embeddings, faces)
    for one, (tar, first) in zip(found, expected, strict=True):
        assert 0.05 < one.tar < 0.95
        assert 0.05 < one.found < 0.95
        assert one.tar == pytest.approx(tar, abs=1e-9)
        assert one.found == pytest.approx(first, abs=1e-9)
        assert (one.genuine, one.impostor) == (20 * 6, 80 * 79 // 2 - 120)
        assert (one.mated, one.unmated) == (15, 60)


def test_a_network_that_says_the_same_of_all_finds_nobody(tmp_path: Path) -> None:
    made_trials.write(tmp_path, trials=1)
    faces = opened(tmp_path)
    (found,) = trial_rates(np.ones((len(faces.images), 4), np.float32), faces)
    assert found.found == 0


def test_the_mean_less_the_deviation_of_the_sample_is_reported() -> None:
    shares = (0.91, 0.87, 0.9)
    found = over_trials(shares)
    assert found.reported == pytest.approx(np.mean(shares) - np.std(shares, ddof=1))


def test_the_lists_are_read_and_a_set_is_inspected(tmp_path: Path) -> None:
    assert not BLUFR.found(tmp_path)
    made_trials.write(tmp_path, people=10, trials=2)
    assert BLUFR.found(tmp_path)
    faces = opened(tmp_path)
    report = inspect(faces)
    assert report.counts["trials"] == 2
    assert not [one for one in report.problems if one.kind != "duplicate"]
    for trial in faces.trials:
        assert set(trial.test.tolist()) == {*trial.gallery.tolist(), *trial.probes.tolist()}
    assert all(key in faces.landmarks for key in faces.images)


def test_trials_do_without_images_that_have_no_face(tmp_path: Path) -> None:
    made_trials.write(tmp_path, people=10, trials=2)
    path = tmp_path / "lfw" / "landmarks.csv"
    lines = path.read_text().splitlines()
    faces = opened(tmp_path)
    lost = faces.images[int(faces.trials[0].probes[0])]
    path.write_text("\n".join(line for line in lines if not line.startswith(lost)) + "\n")
    prepared = settle(opened(tmp_path), "exclude")
    assert prepared.not_found == (lost,)
    left = prepared.faces
    assert lost not in left.images
    for before, after in zip(faces.trials, left.trials, strict=True):
        names = [faces.images[row] for row in before.probes if faces.images[row] != lost]
        assert [left.images[row] for row in after.probes] == names


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("labels.txt", "1\n", "", "labels for"),
        ("labels.txt", "3\n", "4\n", "has the labels 4 and 3 for images of Drawn_02"),
        ("labels.txt", "3\n" * 4, "4\n" * 4, "has the label 4 for Drawn_02 and for Drawn_03"),
        ("test_set.txt", "2\n", "3\n", "must say how many follow"),
        ("test_set.txt", "2\n", "two\n", "must say how many follow"),
        ("gallery_set.txt", "1, Drawn", "2, Drawn", "must be the number and name of an image"),
        ("probe_set.txt", "_0002.jpg", "_0009.jpg", "must be the number and name of an image"),
        ("image_list.txt", "Drawn_00_0001.jpg", "../x_1.jpg", "no image of LFW"),
    ],
)
def test_a_damaged_list_is_named(
    name: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    path = made_trials.write(tmp_path, people=10, trials=2, seed=4) / name
    lists = [path.with_name(f"{part}_set.txt") for part in ("test", "gallery", "probe")]
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if name == "image_list.txt":
        for other in lists:
            other.write_text(other.read_text().replace(old, new))
    with pytest.raises(BadInputError, match=sentence):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("part", "other", "sentence"),
    [
        ("test_set", "test_set", "2 times in test_set"),
        ("gallery_set", "gallery_set", "2 times in gallery_set and probe_set"),
        ("gallery_set", "probe_set", "2 times in gallery_set and probe_set"),
    ],
)
def test_a_trial_that_compares_an_image_with_itself_is_refused(
    part: str, other: str, sentence: str, tmp_path: Path
) -> None:
    lists = made_trials.write(tmp_path, people=10, trials=1)
    line = (lists / f"{other}.txt").read_text().splitlines()[2]
    path = lists / f"{part}.txt"
    trials, count, *lines = path.read_text().splitlines()
    path.write_text("\n".join([trials, str(int(count) + 1), *lines, line]) + "\n")
    name = line.partition(", ")[2]
    with pytest.raises(BadInputError, match=f"trial 1 of .* has {name} {sentence}"):
        opened(tmp_path)


def test_lists_that_begin_with_a_mark_of_byte_order_are_read(tmp_path: Path) -> None:
    lists = made_trials.write(tmp_path, people=10, trials=1)
    before = opened(tmp_path)
    for path in lists.iterdir():
        path.write_text(path.read_text(), encoding="utf-8-sig")
    after = opened(tmp_path)
    assert after.images == before.images
    assert after.people.tolist() == before.people.tolist()


def test_too_few_strangers_for_the_rate_are_refused(tmp_path: Path) -> None:
    made_trials.write(tmp_path, people=10, trials=1)
    faces = opened(tmp_path)
    with pytest.raises(BadInputError, match=r"too few for a rate of 0\.001"):
        trial_rates(np.random.default_rng(0).normal(size=(len(faces.images), 4)), faces)

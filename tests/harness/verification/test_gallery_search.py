"""Searches in galleries: IJB's lists, ranks and rates beside plain loops, and what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.gallery_search import (
    GallerySearch,
    search_galleries,
    search_rates,
)
from facebench.harness.verification.inspection import inspect, require_whole
from facebench.harness.verification.preparation import settle
from facebench.harness.verification.templates import pool
from tests.harness.verification import made_templates

IJBC = DATASETS["ijbc_1n"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache_folder):
    return made_templates.write(tmp_path_factory.mktemp("ijb"))


@pytest.fixture
def lists(made, tmp_path):
    """A copy of the lists to damage."""
    shutil.copytree(made / "meta", tmp_path / "IJBC" / "meta")
    return tmp_path / "IJBC" / "meta"


def templates_of(faces, spread=0.5):
    """Embeddings that are noise around each person's own direction."""
    rng = np.random.default_rng(3)
    own = rng.standard_normal((len(faces.people), 12))
    noise = rng.standard_normal((len(faces.images), 12))
    return pool([(own[faces.people[faces.template]] + spread * noise).astype(np.float32)], faces)


def test_a_folder_gives_galleries_probes_and_people(made):
    faces = IJBC.open(made.parent)
    assert IJBC.measure == "galleries"
    assert [len(rows) for rows in faces.galleries] == [15, 15]
    assert len(faces.probes) == 30
    assert (faces.people[faces.probes[::2]] == faces.people[faces.galleries[0]]).all()
    assert len(faces.keys) == 150
    require_whole(faces)
    assert not inspect(faces).problems


def test_images_of_templates_that_nobody_searches_are_left_out(made, lists):
    for name in ("gallery_G2", "probe_mixed"):
        path = lists / f"ijbc_1N_{name}.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))
    faces = IJBC.open(lists.parent.parent)
    # Fifteen people's galleries and four of the others, two photographs each; four probes of three.
    assert len(faces.images) == 2 * (15 + 4) + 3 * 4


@pytest.mark.parametrize("spread", [0.3, 1.5, 4.0])
def test_ranks_and_rates_are_those_of_plain_loops(made, spread):
    faces = IJBC.open(made.parent)
    templates = templates_of(faces, spread)
    found = search_galleries(templates, faces)
    for one, gallery in zip(found, faces.galleries, strict=True):
        ranks, mates, alarms = [], [], []
        for probe in faces.probes:
            scores = {faces.people[row]: templates[probe] @ templates[row] for row in gallery}
            mate = scores.pop(faces.people[probe], None)
            if mate is None:
                alarms.append(max(scores.values()))
            else:
                mates.append(mate)
                ranks.append(sum(other >= mate for other in scores.values()))
        assert one.rank.tolist() == ranks
        np.testing.assert_allclose(one.mate, mates, atol=1e-6)
        np.testing.assert_allclose(one.alarm, alarms, atol=1e-6)
    rates = search_rates(found)
    for rank, bound in zip((1, 5, 10), rates.found, strict=True):
        assert bound.value == pytest.approx(np.mean([np.mean(one.rank < rank) for one in found]))
    # Fifteen strangers are too few for one false alarm in ten: thirty are needed.
    assert rates.fpirs == ()


def test_fnir_is_at_the_lowest_threshold_that_few_enough_strangers_reach():
    rng = np.random.default_rng(0)
    galleries = []
    for number in range(2):
        rank = (rng.random(400) < 0.1).astype(int)
        mate, alarm = rng.normal(0.6, 0.15, 400), rng.normal(0.2, 0.1, 300)
        person = np.arange(400) // 4 + 1000 * number
        galleries.append(
            GallerySearch(
                np.float32(mate), rank, person, np.float32(alarm), np.arange(300) // 3 + 5000
            )
        )
    rates = search_rates(galleries)
    assert rates.fpirs == (0.1, 0.01)
    for fpir, bound, thresholds in zip(rates.fpirs, rates.fnir, rates.thresholds, strict=True):
        missed = []
        for one, threshold in zip(galleries, thresholds, strict=True):
            assert np.sum(one.alarm >= threshold) == round(fpir * 300)
            missed.append(np.mean((one.rank > 0) | (one.mate < threshold)))
        assert bound.value == pytest.approx(np.mean(missed))
        assert bound.interval[0] < bound.value < bound.interval[1]


def test_a_template_without_a_face_finds_nobody_or_is_left_out(made):
    faces = IJBC.open(made.parent)
    # Both photographs of the first person's template in a gallery, and the second one's probe.
    gone = {"1.jpg", "2.jpg", "8.jpg", "9.jpg", "10.jpg"}
    lacking = replace(
        faces, landmarks={key: faces.landmarks[key] for key in faces.keys if key not in gone}
    )
    kept = settle(lacking, "reject").faces
    assert len(kept.probes) == 30
    (first, second) = search_galleries(templates_of(kept, 0.1), kept)
    assert first.mate[0] == second.mate[0] == -1
    assert (first.rank[1:] == 0).all()
    assert first.rank[0] > 0
    left = settle(lacking, "exclude")
    assert [len(rows) for rows in left.faces.galleries] == [14, 15]
    assert (len(left.faces.probes), left.excluded_pairs) == (29, 1)


@pytest.mark.parametrize(
    ("what", "text", "sentence"),
    [
        ("gallery_G1", "5,500,a.jpg\n", "line 1 must name the columns"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n5\n", "line 2 must begin with the whole numbers"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n5,x\n", "line 2 must begin with the whole numbers"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n5,1\n\n5,2\n", "line 4 says that template 5 shows"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n7,1\n", "names template 7, of which there is no"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n", "names no template"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n5,500\n8,500\n", "has 2 templates of one person"),
        ("gallery_G1", "TEMPLATE_ID,SUBJECT_ID\n8,500\n", "has template 8, which is searched for"),
        ("probe_mixed", "TEMPLATE_ID,SUBJECT_ID\n8,9\n5,7\n", "line 3 says that template 5 shows"),
    ],
)
def test_a_bad_list_is_named_with_its_line(lists, what, text, sentence):
    (lists / f"ijbc_1N_{what}.csv").write_text(text)
    with pytest.raises(BadInputError, match=f"ijbc_1N_{what}.csv {sentence}"):
        IJBC.open(lists.parent.parent)


def test_probes_of_the_gallerys_people_alone_raise_no_false_alarm_to_count(made):
    faces = IJBC.open(made.parent)
    everybody = replace(faces, galleries=(np.concatenate(faces.galleries),))
    with pytest.raises(BadInputError, match="30 show a person of a gallery of 30"):
        search_galleries(templates_of(everybody), everybody)

"""Searches among distractors: MegaFace's layout, its lists, and any two folders."""

import tarfile
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.inspection import inspect

MEGAFACE = DATASETS["megaface"]
PROBES = ["Al Pacino/Al_Pacino_1.png", "Al Pacino/Al_Pacino_2.png", "Bo/Bo_7.jpg", "Bo/Bo_9.jpg"]
SINGLE = "Cy/Cy_1.jpg"
CROWD = ["000/1@N00/1_0.jpg", "000/1@N00/2_0.jpg", "001/5@N00/1_0.jpg", "loose.jpg"]


@pytest.fixture
def base(tmp_path):
    """The folder `megaface`, of small distinct images."""
    rng = np.random.default_rng(0)
    base = tmp_path / "megaface"
    names = [f"facescrub/{name}" for name in (*PROBES, SINGLE)]
    for name in (*names, *(f"distractors/{name}" for name in CROWD)):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(base / name)
    return base


def prefixed(prefix, names):
    return tuple(f"{prefix}/{name}" for name in names)


def test_probes_are_people_with_two_images_and_distractors_lie_at_any_depth(base):
    faces = MEGAFACE.open(base.parent)
    assert MEGAFACE.measure == "identification"
    assert faces.probes == prefixed("probes", PROBES)
    assert faces.distractors == prefixed("distractors", CROWD)
    assert faces.identities["probes/Al Pacino/Al_Pacino_1.png"] == "Al Pacino"
    assert set(faces.identities) == set(faces.probes)
    assert all(faces.picture(key).shape == (8, 8, 3) for key in faces.keys)
    assert {problem.kind for problem in inspect(faces).problems} == {"landmarks"}


def test_the_names_of_insightfaces_package_give_the_same(base):
    digest = MEGAFACE.open(base.parent).digest
    (base / "facescrub").rename(base / "facescrub_images")
    (base / "distractors").rename(base / "megaface_images")
    assert MEGAFACE.open(base.parent).digest == digest


def test_lists_say_which_images_and_in_which_order(base):
    (base / "facescrub_lst").write_text("".join(f"{name}\n" for name in reversed(PROBES)))
    (base / "megaface_lst").write_text("001/5@N00/1_0.jpg\n\n000/1@N00/1_0.jpg\n")
    faces = MEGAFACE.open(base.parent)
    assert faces.probes == prefixed("probes", reversed(PROBES))
    assert faces.distractors == prefixed("distractors", [CROWD[2], CROWD[0]])


def test_noise_is_left_out_and_who_has_one_image_then(base):
    (base / "facescrub_noises.txt").write_text("# of insightface\nBo_9.jpg\n")
    (base / "megaface_noises.txt").write_text("12\t000/1@N00/1_0.jpg\n001/5@N00/1_0.jpg\n")
    faces = MEGAFACE.open(base.parent)
    assert faces.probes == prefixed("probes", PROBES[:2])
    assert faces.distractors == prefixed("distractors", [CROWD[1], CROWD[3]])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("facescrub_lst", "/etc/passwd\n", "facescrub_lst line 1 names '/etc/passwd'"),
        ("facescrub_lst", "Bo/../../x.jpg\n", "facescrub_lst line 1 names"),
        ("facescrub_lst", "Bo_7.jpg\n", "names 'Bo_7.jpg', which is not identity/image"),
        ("facescrub_lst", "Bo/Bo_7.jpg\n", "facescrub holds no two or more images of one person"),
        ("megaface_lst", "a.jpg\nb.jpg\na.jpg\n", "line 3 repeats a.jpg of line 1"),
        ("megaface_lst", "\xff", "megaface_lst is not UTF-8"),
        ("megaface_noises.txt", "\n".join(CROWD), "distractors holds no images of other people"),
    ],
)
def test_a_list_that_will_not_do_is_named(base, name, text, words):
    (base / name).write_bytes(text.encode("latin1"))
    with pytest.raises(BadInputError, match=words) as refusal:
        MEGAFACE.open(base.parent)
    assert "\n" not in str(refusal.value)


def test_an_image_that_a_list_names_and_is_missing_is_found_by_the_inspection(base):
    (base / "megaface_lst").write_text("000/1@N00/1_0.jpg\nabsent.jpg\n")
    problems = inspect(MEGAFACE.open(base.parent)).problems
    assert [p.key for p in problems if p.kind == "missing"] == ["distractors/absent.jpg"]


def test_without_its_folders_it_is_not_found(base):
    (base / "distractors").rename(base / "others")
    assert not MEGAFACE.found(base.parent)
    with pytest.raises(BadInputError, match="dataset megaface is not in .*distractors/<any"):
        MEGAFACE.open(base.parent)


def test_any_two_folders_or_archives_make_a_search(base):
    (base / "distractors" / "loose.jpg").unlink()
    folders = DATASETS[f"search:{base}/facescrub::{base}/distractors"].open(None)
    assert folders.name == "search:facescrub::distractors"
    with tarfile.open(base / "crowd.tar", "w") as archive:
        archive.add(base / "distractors", "crowd")
    mixed = DATASETS[f"search:{base}/facescrub::megaface/crowd.tar"]
    assert mixed.measure == "identification"
    assert mixed.found(base.parent)
    opened = mixed.open(base.parent)
    read = [opened.files.read(key) for key in opened.keys]
    assert read == [folders.files.read(key) for key in folders.keys]
    assert opened.digest == folders.digest


@pytest.mark.parametrize("rest", ["", "a", "a:b", "::", "a::", "::b"])
def test_a_search_that_names_no_two_folders_is_refused(rest):
    with pytest.raises(BadInputError, match="write search:PROBES::DISTRACTORS"):
        DATASETS[f"search:{rest}"]


def test_landmarks_of_both_folders_are_read(base):
    columns = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    header = ",".join(["image", *(f"{name}_{axis}" for name in columns for axis in "xy")])
    numbers = ",".join("1234567890")
    (base / "facescrub" / "landmarks.csv").write_text(f"{header}\n{PROBES[2]},{numbers}\n")
    (base / "distractors-landmarks.csv").write_text(f"{header}\n{CROWD[0]},{numbers}\n")
    faces = MEGAFACE.open(base.parent)
    assert set(faces.landmarks) == {f"probes/{PROBES[2]}", f"distractors/{CROWD[0]}"}


def test_many_distractors_are_opened_in_little_time_and_memory(base):
    count = 20_000
    lines = (f"{i % 1000:03d}/{i}@N00/{i}_0.jpg\n" for i in range(count))
    (base / "megaface_lst").write_text("".join(lines))
    tracemalloc.start()
    began = time.process_time()
    faces = MEGAFACE.open(base.parent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(faces.distractors) == count
    # A name takes about 75 bytes, a few times over: a million distractors, under a gigabyte.
    assert peak < 1000 * count
    assert time.process_time() - began < 10

"""Images of anybody: drawn pairs, published pairs and lists."""

import contextlib
import tarfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.census import Census, census
from facebench.harness.verification.datasets.folders import open_folder
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.drawing import draw_pairs
from facebench.harness.verification.files import OUTSIDE
from facebench.harness.verification.inspection import inspect
from facebench.harness.verification.lists import PAIR_COLUMNS, read_pairs, relative, write_pairs

HEADER = ",".join(PAIR_COLUMNS)


@pytest.fixture
def people(tmp_path):
    """A folder of 24 people, of whom four have one image; the images are small and distinct."""
    folder = tmp_path / "people"
    rng = np.random.default_rng(0)
    suffixes = ["jpg", "JPEG", "png", "bmp", "pgm", "webp"]
    for number in range(24):
        place = folder / f"P{number:02d}"
        place.mkdir(parents=True)
        for image in range(1 if number < 4 else 2 + number % 4):
            pixels = rng.integers(0, 256, (8, 8), np.uint8)
            name = f"{image}.{suffixes[(number + image) % 6]}"
            Image.fromarray(pixels).save(place / name)
    return folder


def pack(folder, prefix):
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, prefix)
    return path


def test_drawn_pairs_have_ten_folds_that_share_nobody_and_as_many_of_each_kind(people):
    faces = DATASETS[f"folder:{people}"].open(None)
    assert faces.name == "folder:people"
    kinds = Counter((pair.fold, pair.same) for pair in faces.pairs)
    assert len(kinds) == 20
    assert len(set(kinds.values())) == 1
    folds = {}
    for pair in faces.pairs:
        for key in (pair.first, pair.second):
            assert folds.setdefault(faces.identities[key], pair.fold) == pair.fold
            assert faces.picture(key).shape == (8, 8, 3)
        assert pair.same == (faces.identities[pair.first] == faces.identities[pair.second])


def test_a_draw_hangs_on_its_seed_alone(people):
    assert open_folder(str(people), None).pairs == open_folder(str(people), None, 0).pairs
    assert open_folder(str(people), None, 1).pairs != open_folder(str(people), None, 0).pairs


def test_the_draw_of_seed_0_stays_what_it_was():
    people = {f"p{i:02d}": [f"p{i:02d}/{j}.jpg" for j in range(3)] for i in range(20)}
    pairs = draw_pairs(people, 0, "x")
    assert len(pairs) == 120
    assert [(p.first, p.second, p.same) for p in (pairs[0], pairs[-1])] == [
        ("p15/2.jpg", "p15/1.jpg", True),
        ("p09/1.jpg", "p17/0.jpg", False),
    ]


@settings(max_examples=15, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=20, max_size=60).filter(
        lambda counts: sum(count > 1 for count in counts) >= 10
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_people_give_a_fair_draw(counts, seed):
    people = {str(n): [f"{n}/{i}.jpg" for i in range(count)] for n, count in enumerate(counts)}
    pairs = draw_pairs(people, seed, "x")
    assert len({frozenset((pair.first, pair.second)) for pair in pairs}) == len(pairs)
    kinds = Counter((pair.fold, pair.same) for pair in pairs)
    assert len(kinds) == 20
    assert len(set(kinds.values())) == 1
    assert 1 <= kinds[0, True] <= 300
    folds = {}
    for pair in pairs:
        owners = [key.partition("/")[0] for key in (pair.first, pair.second)]
        assert pair.same == (owners[0] == owners[1])
        assert all(folds.setdefault(owner, pair.fold) == pair.fold for owner in owners)


def test_people_with_many_images_do_not_rule_the_draw():
    people = {f"{n}": [f"{n}/{i}.jpg" for i in range(400 if n < 10 else 30)] for n in range(50)}
    pairs = draw_pairs(people, 0, "x")
    shares = Counter(pair.first.partition("/")[0] for pair in pairs if pair.same)
    assert len(pairs) == 6000
    assert max(shares.values()) - min(shares.values()) <= 2


@pytest.mark.parametrize(("several", "single"), [(9, 30), (10, 9), (0, 0), (0, 40)])
def test_too_few_people_are_refused_with_their_number(several, single):
    people = {f"a{n}": ["1", "2"] for n in range(several)} | {f"b{n}": ["1"] for n in range(single)}
    with pytest.raises(BadInputError, match=f"x has {several} people with two or more images and"):
        draw_pairs(people, 0, "x")


@pytest.mark.parametrize("prefix", [".", "people", "docs/people"])
def test_an_archive_gives_the_same_as_the_folder(people, prefix):
    folder = DATASETS[f"folder:{people}"].open(None)
    archive = DATASETS[f"folder:{pack(people, prefix)}"].open(None)
    assert archive.pairs == folder.pairs
    assert archive.digest == folder.digest


def test_a_path_may_be_relative_to_the_data_folder(people):
    dataset = DATASETS[f"folder:{people.name}"]
    assert dataset.found(people.parent)
    assert not dataset.found(people)
    assert dataset.open(people.parent).name == dataset.name == "folder:people"


def test_published_pairs_come_before_drawn_ones(people):
    drawn = open_folder(str(people), None, 5)
    write_pairs(people / "pairs.csv", drawn.pairs)
    assert open_folder(str(people), None).pairs == drawn.pairs
    assert open_folder(str(people), None, 0).pairs != drawn.pairs
    assert DATASETS[f"folder:{pack(people, 'people')}"].open(None).pairs == drawn.pairs
    assert DATASETS[f"list:{people}/pairs.csv"].open(None).pairs == drawn.pairs
    with pytest.raises(BadInputError, match=r"pairs\.csv is there already"):
        write_pairs(people / "pairs.csv", drawn.pairs)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{a},P11/absent.jpg,0,0", "line 2 names P11/absent.jpg, which is no image"),
        ("{a},{b},1,0", "line 2 says same, and the folders"),
        ("{a},{c},0,0", "line 2 says different, and the folders"),
    ],
)
def test_published_pairs_must_agree_with_the_folders(people, line, words):
    a, c = sorted(f"P10/{path.name}" for path in (people / "P10").iterdir())[:2]
    b = f"P11/{next((people / 'P11').iterdir()).name}"
    (people / "pairs.csv").write_text(f"{HEADER}\n{line.format(a=a, b=b, c=c)}\n")
    with pytest.raises(BadInputError, match=rf"pairs\.csv {words}"):
        open_folder(str(people), None)


@pytest.mark.parametrize("place", ["people/landmarks.csv", "people-landmarks.csv"])
def test_landmarks_are_read_where_there_are_some(people, place):
    assert DATASETS[f"folder:{people}"].open(None).landmarks == {}
    names = [f"{p}_{axis}" for p in ("left_eye", "right_eye", "nose") for axis in "xy"]
    names += [f"{p}_{axis}" for p in ("left_mouth", "right_mouth") for axis in "xy"]
    rows = f"image,{','.join(names)}\nP04/0.jpg,{','.join('1234567890')}\n"
    (people.parent / place).write_text(rows)
    assert list(DATASETS[f"folder:{people}"].open(None).landmarks) == ["P04/0.jpg"]


def test_images_deeper_than_their_persons_folder_are_refused(people):
    (people / "P00" / "more").mkdir()
    (people / "P00" / "more" / "1.jpg").write_bytes(b"")
    with pytest.raises(BadInputError, match=r"P00/more/1\.jpg lies deeper than identity/image"):
        open_folder(str(people), None)


def test_what_is_no_image_is_left_out(people):
    before = open_folder(str(people), None).pairs
    (people / "P00" / "._0.jpg").write_bytes(b"macOS")
    (people / "P00" / "notes.txt").write_text("hello")
    (people / "montage.jpg").write_bytes(b"of all")
    assert open_folder(str(people), None).pairs == before


def test_a_folder_without_people_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(BadInputError, match="holds no identity/image"):
        open_folder(str(tmp_path), None)


def test_links_are_followed_and_one_that_leads_back_is_no_loop(people, tmp_path):
    before = open_folder(str(people), None).pairs
    (people / "P10").rename(tmp_path / "elsewhere")
    (people / "P10").symlink_to(tmp_path / "elsewhere")
    (people / "P10" / "again").symlink_to(people)
    (people / "P11" / "broken.jpg").symlink_to(tmp_path / "nowhere")
    assert open_folder(str(people), None).pairs == before


def test_a_name_that_is_no_text_is_refused(people):
    with open(bytes(people) + b"/P00/\xff.jpg", "wb"):
        pass
    with pytest.raises(BadInputError, match=r"no UTF-8 text, or not printable, 'P00/\\udcff.jpg'"):
        open_folder(str(people), None)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.jpg", "a/../../x.jpg"])
def test_an_archive_that_names_files_outside_itself_is_refused(people, name):
    path = pack(people, "people")
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(BadInputError, match="names a file outside itself"):
        DATASETS[f"folder:{path}"].open(None)


def test_a_link_in_an_archive_is_left_out(people):
    path = pack(people, "people")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("people/P00/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "P00/link.jpg" not in DATASETS[f"folder:{path}"].open(None).files


def test_a_list_says_which_pairs(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"\ufeff{HEADER}\na/1.jpg,./b/2.jpg,0,0\r\na/1.jpg,a/3.jpg,True,1\n")
    faces = DATASETS[f"list:{path}"].open(None)
    assert faces.name == "list:mine"
    assert [(p.first, p.second, p.same, p.fold) for p in faces.pairs] == [
        ("a/1.jpg", "b/2.jpg", False, 0),
        ("a/1.jpg", "a/3.jpg", True, 1),
    ]
    assert faces.identities == {}
    assert faces.landmarks == {}


def test_images_are_counted_by_format_size_and_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = Image.fromarray(np.zeros((4, 6), np.uint8))
    colour = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    grey.save(tmp_path / "grey.png")
    colour.save(tmp_path / "colour.jpg")
    colour.save(tmp_path / "phone.jpg", exif=exif)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "mine.csv").write_text(
        f"{HEADER}\ngrey.png,colour.jpg,1,0\nphone.jpg,broken.jpg,0,0\n"
    )
    assert census(DATASETS[f"list:{tmp_path}/mine.csv"].open(None)) == Census(
        formats={"JPEG RGB": 2, "PNG L": 1, "not readable": 1},
        sizes={"4x6": 2, "6x4": 1},
        orientations={"1": 2, "6": 1},
        left_out={},
    )


def test_blank_lines_at_the_end_of_a_list_say_nothing(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\na,b,1,0\n\n  \n")
    assert len(DATASETS[f"list:{path}"].open(None).pairs) == 1


def test_files_that_are_left_out_are_counted_and_images_among_them_are_a_problem(people):
    sound = DATASETS[f"folder:{people}"].open(None)
    assert sound.left_out == {}
    assert [problem.kind for problem in inspect(sound).problems] == ["landmarks"]
    names = ("P00/9.tif", "P01/9.TIF", "P01/8.gif", "P02/notes.txt", "P02/._1.jpg", "lies.jpg")
    for name in names:
        (people / name).write_bytes(b"")
    faces = DATASETS[f"folder:{people}"].open(None)
    assert faces.left_out == {".gif": 1, ".tif": 2, ".txt": 1, OUTSIDE: 1}
    assert faces.digest == sound.digest
    problems = [problem for problem in inspect(faces).problems if problem.kind == "left out"]
    sentences = [problem.sentence for problem in problems]
    assert [problem.key for problem in problems] == [".gif", ".tif", OUTSIDE]
    assert sentences[1].startswith(".tif: 2 left out; convert .tif to one of .bmp, .jpeg")
    assert sentences[2].startswith("outside a person's folder: 1 left out; put each image")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "has no pairs: add a line"),
        (["a,b,1"], "line 2 must be first,second,same,fold"),
        (["a,b,1,0,x"], "line 2 must be"),
        (["a,b,yes,0"], "line 2: same is 'yes', which must be 1 or 0"),
        (["a,b,1,-1"], "line 2: fold is '-1'"),
        (["a,b,1,1.5"], "line 2: fold is '1.5'"),
        (["a,b,1,²"], "line 2: fold is '²'"),
        (["a,b,1,99999999999"], "line 2: fold is '99999999999'"),
        (["a,b,1,0", "a,./a,1,0"], "line 3 compares a with itself"),
        (["a,b,1,0", "c,d,0,0", "b,a,0,0"], "line 4 repeats the pair of line 2"),
        (["a,b,1,0", "c,d,0,2"], "has no pairs in fold 1"),
        (["a,b,1,0", "b,c,1,0", "c,a,0,0"], "line 4 says that c and a show two people, and"),
        (["/etc/passwd,b,1,0"], "line 2 names '/etc/passwd'"),
        (["a/../../b,b,1,0"], "line 2 names 'a/../../b'"),
        (["a\\b,b,1,0"], "line 2 names"),
        ([",b,1,0"], "line 2 names ''"),
        (["", "a,b,1,0"], "line 2 must be"),
        (["", "  ", ""], "has no pairs: add a line"),
    ],
)
def test_a_malformed_list_is_refused_with_its_line(lines, words, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    with pytest.raises(BadInputError, match=rf"mine\.csv {words}".replace("(", r"\(")) as refusal:
        DATASETS[f"list:{path}"].open(None)
    assert "\n" not in str(refusal.value)


def test_a_list_without_its_first_line_is_refused():
    with pytest.raises(BadInputError, match="x line 1 must be first,second,same,fold"):
        read_pairs(b"a,b,1,0\n", "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_pairs_or_refused(data):
    with contextlib.suppress(BadInputError):
        assert read_pairs(HEADER.encode() + b"\n" + data, "x").pairs


@given(st.text(max_size=30))
def test_a_relative_name_never_leads_outside(name):
    try:
        plain = relative(name, "x")
    except BadInputError:
        return
    assert not plain.startswith("/")
    assert ".." not in plain.split("/")
    assert relative(plain, "x") == plain


NAMED = f"{HEADER},first_person,second_person\n"


def test_a_list_may_name_the_people_in_it():
    found = read_pairs(f"{NAMED}a,b,1,0,Ann,Ann\na,c,0,1,Ann,Bob\n".encode(), "x")
    assert found.identities == {"a": "Ann", "b": "Ann", "c": "Bob"}
    assert [pair.same for pair in found.pairs] == [True, False]
    assert read_pairs(f"{HEADER}\na,b,1,0\n".encode(), "x").identities == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a,b,1,0,Ann,Bob", "line 2 says same of Ann and Bob"),
        ("a,b,0,0,Ann,Ann", "line 2 says different of Ann and Ann"),
        ("a,b,1,0,Ann,", "line 2 does not say who is in b"),
        ("a,b,1,0,Ann,Ann\na,c,1,0,Bob,Bob", "line 3 says that a shows Bob, and a line before Ann"),
        ("a,b,1,0", "line 2 must be first,second,same,fold,first_person"),
    ],
)
def test_a_list_that_names_people_wrongly_is_refused(lines, message):
    with pytest.raises(BadInputError, match=message):
        read_pairs(f"{NAMED}{lines}\n".encode(), "x")


def test_a_field_larger_than_csv_allows_is_refused():
    with pytest.raises(BadInputError, match="x is no CSV file .field larger"):
        read_pairs(f"{HEADER}\n{'a' * 140_000},b,1,0\n".encode(), "x")

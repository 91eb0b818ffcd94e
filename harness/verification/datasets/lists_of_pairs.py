"""Sets that are published as folders of images and a list of pairs, each in a form of its own.

| dataset | form of the list |
|---|---|
| CALFW, CPLFW | two lines a pair, `image label`; a label of 0 says that the pair shows two people |
| SLLFW | two lines a pair, `person/image` of LFW; one person where both have the same folder |
| MLFW, AgeDB-30 | a line a pair, `image image label` |
| CFP | `Pair_list_F.txt` and `Pair_list_P.txt` number the images, and each fold's `same.txt` and \
`diff.txt` name pairs by these numbers |

Lists without folds have ten: the genuine pairs in their order are cut into ten equal parts, and so
are the impostor pairs, which is the official order of CALFW, CPLFW and SLLFW (300 of each a fold).
Sources: T. Zheng et al., arXiv 1708.08197; T. Zheng, W. Deng, BUPT report 18-01, 2018; W. Deng et
al., Pattern Recognition 66, 2017; C. Wang et al., arXiv 2109.05804; S. Sengupta et al., WACV 2016;
S. Moschoglou et al., "AgeDB", CVPR Workshops 2017, its pairs in the list that goes with
InsightFace's crops of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, Pair, PairSet
from facebench.harness.verification.layout import read_landmarks
from facebench.harness.verification.lists import relative
from facebench.harness.verification.plain import PlainFolder
from facebench.harness.verification.tables import read_lines

FOLDS = 10

# What a list says: both images below the folder, whether they show one person, and the fold,
# where it says that; with where each line is, for messages.
Said = tuple[str, str, bool, int | None]


@dataclass(frozen=True)
class PairListSet:
    """It is a set in this form.

    Attributes:
        name: of the dataset.
        folders: of its images, one of which is there, below the data folder.
        list: of its pairs; a folder of lists for CFP.
        pairs: reads that.
        about: where it comes from.
    """

    name: str
    folders: tuple[str, ...]
    list: str
    pairs: Callable[[Path], Iterator[Said]]
    about: str


def two_lines(path: Path) -> Iterator[Said]:
    """Yield pairs of two lines each, `image label`, the label being the same in both."""
    for (line, first), (_, second) in _by_two(path):
        fields = [first.split(), second.split()]
        if any(len(each) != 2 or not _is_whole(each[1]) for each in fields):
            raise BadInputError(
                f"{path} line {line} and the next must be an image and a whole number each: mend "
                f"{first[:60]!r} or {second[:60]!r}"
            )
        (one, label), (two, other) = fields
        if label != other:
            raise BadInputError(
                f"{path} line {line} has the label {label}, and the next, of the same pair, "
                f"{other}: mend one"
            )
        yield _inside(one, path, line), _inside(two, path, line + 1), label != "0", None


def two_names(path: Path) -> Iterator[Said]:
    """Yield pairs of two lines each, `person/image`."""
    for (line, first), (_, second) in _by_two(path):
        one, two = _inside(first.strip(), path, line), _inside(second.strip(), path, line + 1)
        if one.count("/") != 1 or two.count("/") != 1:
            raise BadInputError(
                f"{path} line {line} and the next must be person/image each: mend {first[:60]!r} "
                f"or {second[:60]!r}"
            )
        yield one, two, one.split("/")[0] == two.split("/")[0], None


def one_line(path: Path) -> Iterator[Said]:
    """Yield pairs of one line each, `image image label`."""
    for line, text in read_lines(path):
        fields = text.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[2] not in ("0", "1"):
            raise BadInputError(
                f"{path} line {line} must be two images and 1 or 0: mend {text[:60]!r}"
            )
        yield _inside(fields[0], path, line), _inside(fields[1], path, line), fields[2] == "1", None


def cfp(kind: str, path: Path) -> Iterator[Said]:
    """Yield the pairs of CFP's protocol.

    Args:
        kind: `FF`, frontal with frontal images, or `FP`, frontal with profile ones.
        path: the folder `Protocol`.
    """
    frontal = _numbered(path / "Pair_list_F.txt")
    others = frontal if kind == "FF" else _numbered(path / "Pair_list_P.txt")
    for fold in range(FOLDS):
        for name, same in (("same.txt", True), ("diff.txt", False)):
            source = path / "Split" / kind / f"{fold + 1:02d}" / name
            for line, text in read_lines(source):
                if not text.strip():
                    continue
                one, _, two = (part.strip() for part in text.partition(","))
                if one not in frontal or two not in others:
                    raise BadInputError(
                        f"{source} line {line} must be two numbers of {path}'s lists of images "
                        f"with a comma between: mend {text[:60]!r}"
                    )
                yield frontal[one], others[two], same, fold


def _numbered(path: Path) -> dict[str, str]:
    """Return CFP's images by number; names lead from `Protocol` to `Data`."""
    found = {}
    for line, text in read_lines(path):
        fields = text.split()
        if not fields:
            continue
        if len(fields) != 2 or not _is_whole(fields[0]):
            raise BadInputError(
                f"{path} line {line} must be a number and an image: mend {text[:60]!r}"
            )
        found[fields[0]] = _inside(fields[1].removeprefix("../"), path, line)
    return found


def _by_two(path: Path) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    """Yield the lines of a list two by two, with their numbers; empty ones are left out."""
    waiting: tuple[int, str] | None = None
    for line, text in read_lines(path):
        if not text.strip():
            continue
        if waiting is None:
            waiting = (line, text)
        else:
            yield waiting, (line, text)
            waiting = None
    if waiting is not None:
        raise BadInputError(
            f"{path} line {waiting[0]} has no second image: a pair is two lines; copy it anew"
        )


def _is_whole(field: str) -> bool:
    return field.isascii() and field.isdigit()


def _inside(name: str, path: Path, line: int) -> str:
    return relative(name, f"{path} line {line}")


def open_listed(what: PairListSet, images: Path, path: Path) -> PairSet:
    """Return a set's pairs; images are not looked at.

    Args:
        what: the set.
        images: the folder of its images.
        path: its list.

    Raises:
        BadInputError: a line of the list is malformed, or there are too few pairs.
    """
    said = list(what.pairs(path))
    counts = [sum(same is kind for _, _, same, _ in said) for kind in (True, False)]
    if min(counts) < FOLDS:
        raise BadInputError(
            f"{path} has {counts[0]} genuine and {counts[1]} impostor pairs: ten folds need at "
            f"least {FOLDS} of each; copy it anew"
        )
    alike = [one for one in said if one[0] == one[1]]
    if alike:
        raise BadInputError(f"{path} compares {alike[0][0]} with itself: copy it anew")
    pairs = tuple(_folded(said, counts))
    people = {key: _person(key) for pair in pairs for key in (pair.first, pair.second)}
    wrong = next((p for p in pairs if p.same != (people[p.first] == people[p.second])), None)
    landmarks = images / "landmarks.csv"
    return PairSet(
        what.name,
        "",
        PlainFolder(images),
        read_landmarks(landmarks) if landmarks.is_file() else {},
        # Names of which one contradicts a label tell nobody.
        {} if wrong else people,
        pairs,
    )


def _folded(said: Sequence[Said], counts: Sequence[int]) -> Iterator[Pair]:
    seen = [0, 0]
    for first, second, same, fold in said:
        kind = 0 if same else 1
        yield Pair(
            first, second, same, seen[kind] * FOLDS // counts[kind] if fold is None else fold
        )
        seen[kind] += 1


def _person(key: str) -> str:
    """Return who is in an image: of its folder, or of its name before the last numbers.

    Example:
        >>> _person("Al_Bo/Al_Bo_0001.jpg"), _person("Al_Bo_2.jpg"), _person("Al_Bo_0001_0003.jpg")
        ('Al_Bo', 'Al_Bo', 'Al_Bo')
        >>> _person("Data/Images/007/frontal/01.jpg")
        'Data/Images/007'
        >>> _person("17_AlBo_35_m.jpg")  # AgeDB: number, name, age, gender
        'AlBo'
    """
    path = PurePosixPath(key)
    if named := re.fullmatch(r"\d+_(.+)_\d+_[mf]", path.stem):
        return named[1]
    if path.parent.name in ("frontal", "profile"):
        return str(path.parent.parent)
    if len(path.parts) > 1:
        return str(path.parent)
    return re.sub(r"(_\d+)+$", "", path.stem)


SETS = (
    PairListSet(
        "calfw_images",
        ("calfw/aligned images", "calfw/images&landmarks/images&landmarks/images", "calfw/images"),
        "calfw/pairs_CALFW.txt",
        two_lines,
        "Cross-Age LFW (T. Zheng et al., arXiv 1708.08197), its authors' images",
    ),
    PairListSet(
        "cplfw_images",
        ("cplfw/aligned images", "cplfw/images"),
        "cplfw/pairs_CPLFW.txt",
        two_lines,
        "Cross-Pose LFW (T. Zheng and W. Deng, BUPT report 18-01, 2018), its authors' images",
    ),
    PairListSet(
        "sllfw",
        ("lfw-deepfunneled", "lfw"),
        "sllfw/pair_SLLFW.txt",
        two_names,
        "Similar-Looking LFW: impostors who look alike (W. Deng et al., Pattern Recognition 2017)",
    ),
    PairListSet(
        "mlfw",
        ("MLFW/aligned",),
        "MLFW/pairs.txt",
        one_line,
        "Masked LFW: drawn masks (C. Wang et al., arXiv 2109.05804), aligned by its authors",
    ),
    PairListSet(
        "agedb_30_images",
        ("AgeDB-30/agedb30_align_112", "AgeDB"),
        "AgeDB-30/agedb_30_pair.txt",
        one_line,
        "AgeDB-30: 30 years between images (S. Moschoglou et al., CVPRW 2017), as a folder",
    ),
    PairListSet(
        "cfp_ff_images",
        ("cfp-dataset",),
        "cfp-dataset/Protocol",
        partial(cfp, "FF"),
        "CFP, frontal with frontal (S. Sengupta et al., WACV 2016), its authors' images",
    ),
    PairListSet(
        "cfp_fp_images",
        ("cfp-dataset",),
        "cfp-dataset/Protocol",
        partial(cfp, "FP"),
        "CFP, frontal with profile (S. Sengupta et al., WACV 2016), its authors' images",
    ),
)


def _where(what: PairListSet, root: Path | None) -> tuple[Path, Path] | None:
    """Return the folder of images and the list, where both are there."""
    kept = data_root(root)
    if kept is None or not (kept / what.list).exists():
        return None
    places = (kept / folder for folder in what.folders)
    return next(((place, kept / what.list) for place in places if place.is_dir()), None)


def _found(what: PairListSet, root: Path | None) -> bool:
    return _where(what, root) is not None


def _place(what: PairListSet) -> str:
    return f"{what.list}, and the images in a folder {' or '.join(what.folders)}"


def _open(what: PairListSet, root: Path | None) -> FaceSet:
    where = _where(what, root)
    if where is None:
        raise BadInputError(
            f"dataset {what.name} is not in {data_root(root) or 'a folder that was named'}: give "
            f"with --data or FACEBENCH_DATA a folder that holds {_place(what)}"
        )
    return open_listed(what, *where)


for _set in SETS:
    DATASETS.add(
        _set.name,
        Dataset(
            _set.name,
            label="",
            found=partial(_found, _set),
            open=partial(_open, _set),
            about=_set.about,
            place=_place(_set),
        ),
    )

"""Finds what is wrong with a dataset, before hours are spent on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.alignment import swapped
from facebench.harness.verification.census import Census, counted
from facebench.harness.verification.faces import (
    FaceSet,
    GallerySet,
    PairSet,
    SearchSet,
    TemplateImages,
    TemplateSet,
    TrialSet,
)
from facebench.harness.verification.files import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, OUTSIDE
from facebench.harness.verification.images import decode, facts
from facebench.harness.verification.pixels import ImageFacts

# Images of which an exchange of columns is told by.
_LOOKED_AT = 200


@dataclass(frozen=True)
class Problem:
    """A problem is one thing that is wrong.

    Attributes:
        kind: `missing`, `undecodable`, `landmarks`, `duplicate`, `pair`, `identical`, `repeated`,
            `identity`, `fold`, `probe` or `left out`.
        key: the image, the identity or the fold; empty where it concerns all images.
        sentence: what is wrong, and the mend.
    """

    kind: str
    key: str
    sentence: str


@dataclass(frozen=True)
class Inspection:
    """An inspection says what a dataset holds and what is wrong with it.

    Attributes:
        counts: by what is counted, such as `images` and `genuine pairs`.
        images: by their formats, sizes and orientations.
        problems: in the order in which they were looked for.
    """

    counts: dict[str, int]
    images: Census
    problems: tuple[Problem, ...]


@dataclass
class _Seen:
    """What one pass over the images finds.

    Attributes:
        digests: SHA-256 of the bytes, of each image that can be read.
        broken: images that are missing or no images.
        facts: what each image's header says; None where it cannot be read.
    """

    digests: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, Problem] = field(default_factory=dict)
    facts: list[ImageFacts | None] = field(default_factory=list)


def inspect(faces: FaceSet, progress: Progress = SILENT) -> Inspection:
    """Look at everything: each image is read and decoded once, and none is kept.

    Args:
        faces: pairs or a search.
        progress: told how far it is.
    """
    seen = _look(faces, progress)
    problems = [
        *seen.broken.values(),
        *_landmarks(faces, seen),
        # A photograph may be in several templates.
        *(() if isinstance(faces, TemplateImages) else _duplicates(faces, seen.digests)),
        *_left_out(faces),
    ]
    if isinstance(faces, PairSet):
        problems += [*_pairs(faces, seen), *_identities(faces), *_folds(faces)]
    if isinstance(faces, SearchSet):
        problems += _probes(faces)
    kinds = counted(seen.facts, faces.left_out)
    return Inspection(_counts(faces), kinds, tuple(problems))


def require_whole(faces: FaceSet) -> None:
    """See that each image is there and has landmarks, without reading any.

    Raises:
        BadInputError: the first that is not or has none.
    """
    for key in faces.keys:
        if key not in faces.files:
            raise BadInputError(
                f"{faces.name} names an image that is missing, {faces.files.describe(key)}: put "
                f"it there, or copy the dataset anew; {_WHOLE_LIST}"
            )
    for key in faces.keys:
        if key not in faces.landmarks:
            raise BadInputError(
                f"{faces.name} has no landmarks for {key}: find the faces with --landmarks, such "
                f"as --landmarks scrfd, or use --landmarks aligned for aligned crops; {_WHOLE_LIST}"
            )


def require_order(faces: FaceSet) -> None:
    """See that landmarks are in their order, the image's left before its right.

    Raises:
        BadInputError: the first image whose are not.
    """
    if isinstance(faces, TemplateImages):
        _require_most_in_order(faces)
        return
    for key in faces.keys:
        if key in faces.landmarks and (what := swapped(faces.landmarks[key])):
            raise BadInputError(_swapped_sentence(faces, key, what) + f"; {_WHOLE_LIST}")


def _require_most_in_order(faces: TemplateImages) -> None:
    """Refuse exchanged columns; a detector's mistakes in single images are part of the list."""
    looked = [key for key in faces.keys[:_LOOKED_AT] if key in faces.landmarks]
    wrong = [key for key in looked if swapped(faces.landmarks[key])]
    if len(wrong) > len(looked) / 2:
        raise BadInputError(
            _swapped_sentence(faces, wrong[0], swapped(faces.landmarks[wrong[0]]))
            + f"; so are those of {len(wrong)} of the first {len(looked)} images"
        )


_WHOLE_LIST = "'facebench data check NAME' lists all such images"


def _look(faces: FaceSet, progress: Progress) -> _Seen:
    seen = _Seen()
    for number, key in enumerate(faces.keys, start=1):
        where = faces.files.describe(key)
        seen.facts.append(None)
        if key not in faces.files:
            sentence = f"{where} is missing: put it there, or copy the dataset anew"
            seen.broken[key] = Problem("missing", key, sentence)
        else:
            try:
                data = faces.files.read(key)
                seen.digests[key] = hashlib.sha256(data).digest()
                seen.facts[-1] = facts(data, where)
                decode(data, where)
            except BadInputError as error:
                seen.broken[key] = Problem("undecodable", key, str(error))
        progress.at(number, len(faces.keys))
    return seen


def _landmarks(faces: FaceSet, seen: _Seen) -> Iterator[Problem]:
    lacking = {key: None for key in faces.keys if key not in faces.landmarks}
    mend = "find the faces with --landmarks"
    if lacking and len(lacking) == len(faces.keys):
        yield Problem("landmarks", "", f"none of {len(lacking):,} images has landmarks: {mend}")
        return
    for key in lacking:
        sentence = f"{faces.files.describe(key)} has no landmarks: add a line for it, or {mend}"
        yield Problem("landmarks", key, sentence)
    for key, found in zip(faces.keys, seen.facts, strict=True):
        if key in lacking or key in seen.broken or found is None:
            continue
        if what := swapped(faces.landmarks[key]):
            yield Problem("landmarks", key, _swapped_sentence(faces, key, what))
        elif not _inside(faces.landmarks[key], found.size):
            sentence = (
                f"the landmarks of {faces.files.describe(key)} lie outside its "
                f"{found.size[0]}x{found.size[1]} pixels: they are another image's, or no pixels; "
                f"mend them, or {mend}"
            )
            yield Problem("landmarks", key, sentence)


def _inside(landmarks: Floats, size: tuple[int, int]) -> bool:
    """Say whether the middle of landmarks `(5, 2)` is in an image of `size`, and not in a corner.

    Shares of the image's sides would all lie in its first pixel.
    """
    x, y = landmarks.mean(axis=0)
    return bool(1 < x < size[1] and 1 < y < size[0])


def _swapped_sentence(faces: FaceSet, key: str, what: str) -> str:
    return (
        f"the landmarks of {faces.files.describe(key)} have {what} exchanged, or x and y: left is "
        "the image's left, not the person's; exchange the columns, or find the faces with "
        "--landmarks scrfd"
    )


def _left_out(faces: FaceSet) -> Iterator[Problem]:
    """Images that nobody reads; other files are nobody's mistake."""
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    mends = {what: f"convert {what} to one of {known}" for what in OTHER_IMAGE_SUFFIXES}
    mends[OUTSIDE] = "put each image into its person's folder"
    for what, count in faces.left_out.items():
        if what in mends:
            yield Problem("left out", what, f"{what}: {count:,} left out; {mends[what]}")


def _duplicates(faces: FaceSet, digests: dict[str, bytes]) -> Iterator[Problem]:
    first: dict[bytes, str] = {}
    for key, digest in digests.items():
        earlier = first.setdefault(digest, key)
        if earlier != key:
            yield Problem(
                "duplicate",
                key,
                f"{faces.files.describe(key)} has the same bytes as {earlier}: one of the two is "
                "probably under a wrong name; leave it out",
            )


def _pairs(faces: PairSet, seen: _Seen) -> Iterator[Problem]:
    """Yield pairs that can't be formed, pairs of an image with itself, and pairs that are again."""
    first: dict[frozenset[str], int] = {}
    for number, pair in enumerate(faces.pairs, start=1):
        keys = (pair.first, pair.second)
        name = f"pair {number} ({pair.first}, {pair.second})"
        broken = [seen.broken[key] for key in keys if key in seen.broken]
        if broken:
            what = " and ".join(f"{problem.key} is {problem.kind}" for problem in broken)
            yield Problem("pair", pair.first, f"{name} can't be formed: {what}")
        elif pair.first == pair.second or seen.digests[keys[0]] == seen.digests[keys[1]]:
            yield Problem(
                "identical",
                pair.first,
                f"{name} compares an image with itself, so any network gets it "
                f"{'right' if pair.same else 'wrong'}: leave the pair out",
            )
        elif (earlier := first.setdefault(frozenset(keys), number)) != number:
            yield Problem(
                "repeated",
                pair.first,
                f"{name} is pair {earlier} again, so that it counts twice: leave one of them out",
            )


def _identities(faces: PairSet) -> Iterator[Problem]:
    """People in several folds: a threshold would be chosen on those it is tested on."""
    folds: defaultdict[str, set[int]] = defaultdict(set)
    for pair in faces.pairs:
        for key in (pair.first, pair.second):
            if key in faces.identities:
                folds[faces.identities[key]].add(pair.fold)
    for name, found in folds.items():
        if len(found) > 1:
            numbers = ", ".join(map(str, sorted(found)))
            yield Problem(
                "identity",
                name,
                f"{name} is in folds {numbers}, so a threshold is chosen on a person it is tested "
                "on: keep each person in one fold",
            )


def _folds(faces: PairSet) -> Iterator[Problem]:
    """Folds with more pairs of one kind than of the other, or of another size than most."""
    kinds = Counter((pair.fold, pair.same) for pair in faces.pairs)
    sizes = Counter(pair.fold for pair in faces.pairs)
    ((usual, _),) = Counter(sizes.values()).most_common(1)
    for fold in sorted(sizes):
        genuine, impostor = kinds[fold, True], kinds[fold, False]
        if genuine != impostor:
            yield Problem(
                "fold",
                str(fold),
                f"fold {fold} has {genuine} genuine and {impostor} impostor pairs, so chance is "
                "not 50 %: draw as many of each",
            )
        elif sizes[fold] != usual:
            yield Problem(
                "fold",
                str(fold),
                f"fold {fold} has {sizes[fold]} pairs where most have {usual}, so its pairs weigh "
                "more or less in the mean: make the folds alike",
            )


def _probes(faces: SearchSet) -> Iterator[Problem]:
    images = Counter(faces.identities[key] for key in faces.probes)
    for name, count in images.items():
        if count < 2:
            sentence = f"{name} has {count} image, so there is nothing to find: leave it out"
            yield Problem("probe", name, sentence)


def _counts(faces: FaceSet) -> dict[str, int]:
    identities = {faces.identities[key] for key in faces.keys if key in faces.identities}
    counts = {"images": len(faces.keys)}
    if identities:
        counts["identities"] = len(identities)
    counts["images with landmarks"] = sum(key in faces.landmarks for key in faces.keys)
    if isinstance(faces, PairSet):
        genuine = sum(pair.same for pair in faces.pairs)
        counts["genuine pairs"] = genuine
        counts["impostor pairs"] = len(faces.pairs) - genuine
        counts["folds"] = len({pair.fold for pair in faces.pairs})
    if isinstance(faces, TemplateSet):
        genuine = int(faces.same.sum())
        counts |= {
            "templates": len(faces.people),
            "genuine pairs": genuine,
            "impostor pairs": len(faces.same) - genuine,
        }
    if isinstance(faces, GallerySet):
        counts |= {"galleries": len(faces.galleries), "probes": len(faces.probes)}
        counts |= {f"gallery {n}": len(rows) for n, rows in enumerate(faces.galleries, start=1)}
    if isinstance(faces, SearchSet):
        counts |= {"probes": len(faces.probes), "distractors": len(faces.distractors)}
    if isinstance(faces, TrialSet):
        counts["trials"] = len(faces.trials)
    if faces.left_out:
        counts["files left out"] = sum(faces.left_out.values())
    return counts

"""Sets in the layout of Labeled Faces in the Wild, with other images or other pairs.

XQLFW: M. Knoche, S. Hörmann, G. Rigoll, "Cross-Quality LFW", FG 2021 (arXiv 2108.10290), whose
pairs differ in quality as far as may be. TALFW: Y. Zhong, W. Deng, "Towards Transferable
Adversarial Attack Against Deep Face Recognition", TIFS 2020 (arXiv 2004.05790): LFW's images,
disturbed so that networks err, with LFW's own pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet
from facebench.harness.verification.layout import open_layout
from facebench.harness.verification.plain import PlainFolder


@dataclass(frozen=True)
class Variant:
    """It is a set in LFW's layout.

    Attributes:
        name: of the dataset.
        folders: of its images, one of which is there, below the data folder.
        pairs: its list, one of which is there.
        about: where it comes from.
    """

    name: str
    folders: tuple[str, ...]
    pairs: tuple[str, ...]
    about: str


VARIANTS = (
    Variant(
        "xqlfw",
        ("xqlfw/lfw_original_imgs_min_qual0.85variant11", "xqlfw/xqlfw_aligned_112"),
        ("xqlfw/xqlfw_pairs.txt",),
        "Cross-Quality LFW (M. Knoche et al., FG 2021)",
    ),
    Variant(
        "talfw",
        ("TALFW", "talfw", "TALFW_cropped_aligned"),
        ("TALFW/pairs.txt", "talfw/pairs.txt", "lfw/pairs.txt", "lfw-deepfunneled/pairs.txt"),
        "Transferable Adversarial LFW: LFW's images, disturbed (Y. Zhong, W. Deng, TIFS 2020)",
    ),
)


def _where(variant: Variant, root: Path | None) -> tuple[Path, Path] | None:
    kept = data_root(root)
    if kept is None:
        return None
    images = next((kept / name for name in variant.folders if (kept / name).is_dir()), None)
    pairs = next((kept / name for name in variant.pairs if (kept / name).is_file()), None)
    return None if images is None or pairs is None else (images, pairs)


def _found(variant: Variant, root: Path | None) -> bool:
    return _where(variant, root) is not None


def _place(variant: Variant) -> str:
    return (
        f"a folder {' or '.join(variant.folders)} of the identities' folders, and "
        f"{' or '.join(variant.pairs)}"
    )


def _open(variant: Variant, root: Path | None) -> FaceSet:
    where = _where(variant, root)
    if where is None:
        raise BadInputError(
            f"dataset {variant.name} is not in {data_root(root) or 'a folder that was named'}: "
            f"give with --data or FACEBENCH_DATA a folder that holds {_place(variant)}"
        )
    images, pairs = where
    return open_layout(variant.name, "", PlainFolder(images), images / "landmarks.csv", pairs)


for _variant in VARIANTS:
    DATASETS.add(
        _variant.name,
        Dataset(
            _variant.name,
            label="",
            found=partial(_found, _variant),
            open=partial(_open, _variant),
            about=_variant.about,
            place=_place(_variant),
        ),
    )

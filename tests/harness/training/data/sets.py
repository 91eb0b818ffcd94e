"""Small training sets in each format, written from the formats' descriptions."""

import base64
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

MAGIC = struct.pack("<I", 0xCED7230A)


def encoded(seed: int = 0, size: tuple[int, int] = (112, 112), kind: str = "PNG") -> bytes:
    """A picture of noise that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def people(count: int = 3, each: int = 4, size: tuple[int, int] = (112, 112)) -> dict[str, bytes]:
    """Images by `identity/image`, named as those of CASIA-WebFace."""
    return {
        f"{person:07d}/{image:03d}.png": encoded(100 * person + image, size)
        for person in range(count)
        for image in range(1, each + 1)
    }


def write_folder(root: Path, images: dict[str, bytes]) -> Path:
    for name, data in images.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_tar(path: Path, images: dict[str, bytes], around: str = "faces/") -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in images.items():
            member = tarfile.TarInfo(around + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def record(payload: bytes) -> bytes:
    """A payload as dmlc's RecordIO writes it: cut wherever the magic number is at a word."""
    cuts = [i for i in range(0, len(payload) - 3, 4) if payload[i : i + 4] == MAGIC]
    starts = [0, *(cut + 4 for cut in cuts)]
    parts = [payload[a:b] for a, b in zip(starts, [*cuts, len(payload)], strict=True)]
    kinds = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    return b"".join(
        MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )


def packed(labels: list[float], number: int, image: bytes) -> bytes:
    """A payload as mxnet's `recordio.pack` makes it: one label in the header, or several after."""
    if len(labels) == 1:
        return struct.pack("<IfQQ", 0, labels[0], number, 0) + image
    return struct.pack(f"<IfQQ{len(labels)}f", len(labels), 0, number, 0, *labels) + image


def write_rec(
    folder: Path, images: dict[str, bytes], index: bool = True, header: bool = True
) -> Path:
    """`train.rec` and `train.idx` as insightface's `face2rec2.py` writes them.

    Images are records 1 to n, then one a person that says which are theirs, and record 0,
    which says where those are, comes last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    owners = sorted({name.partition("/")[0] for name in images})
    payloads, ranges = {}, dict.fromkeys(owners, (0, 0))
    for number, (name, data) in enumerate(sorted(images.items()), start=1):
        owner = name.partition("/")[0]
        first, _ = ranges[owner]
        ranges[owner] = (first or number, number + 1)
        payloads[number] = packed([float(owners.index(owner))], number, data)
    if header:
        n = len(images) + 1
        for number, owner in enumerate(owners, start=n):
            payloads[number] = packed([float(end) for end in ranges[owner]], number, b"")
        payloads[0] = packed([float(n), float(n + len(owners))], 0, b"")
    content, lines = b"", []
    for number, payload in payloads.items():
        lines.append(f"{number}\t{len(content)}\n")
        content += record(payload)
    (folder / "train.rec").write_bytes(content)
    if index:
        (folder / "train.idx").write_text("".join(lines))
    return folder


def write_tsv(path: Path, images: dict[str, bytes]) -> Path:
    """MS-Celeb-1M's aligned faces, whose identities are such as `m.0000001`."""
    lines = [
        "\t".join(
            [
                f"m.{name.partition('/')[0]}",
                name.partition("/")[2].partition(".")[0],
                "http://images/of/it.jpg",
                "http://a/page",
                "FaceId-0",
                base64.b64encode(struct.pack("<4f", 0, 0, 1, 1)).decode(),
                base64.b64encode(data).decode(),
            ]
        )
        for name, data in images.items()
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path

"""Writes drawn faces in the layout of LFW, with lists in that of BLUFR's toolkit."""

from pathlib import Path

import numpy as np

from facebench.harness.verification.datasets.registry import DATASETS

LISTS = Path("BLUFR/list/lfw")


def write(root: Path, people: int = 30, trials: int = 3, seed: int = 0) -> Path:
    """Each trial takes two thirds of the people, of whom a quarter have an image in the gallery."""
    drawn = DATASETS["synthetic"].open(None)
    images = root / "lfw"
    names, labels, points = [], [], []
    for person in range(people):
        for number in range(1, 5):
            key = f"Drawn_{person:02d}/Drawn_{person:02d}_{number:04d}.jpg"
            path = images / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn.files.read(key))
            names.append(path.name)
            labels.append(person + 1)
            points.append(f"{key},{','.join(f'{v:.3f}' for v in drawn.landmarks[key].ravel())}")
    head = "image," + ",".join(
        f"{point}_{axis}"
        for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
        for axis in "xy"
    )
    (images / "landmarks.csv").write_text("\n".join([head, *points]) + "\n")
    lists = root / LISTS
    lists.mkdir(parents=True)
    (lists / "image_list.txt").write_text("".join(f"{name}\n" for name in names))
    (lists / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    rng = np.random.default_rng(seed)
    parts: dict[str, list[list[int]]] = {"test": [], "gallery": [], "probe": []}
    for _ in range(trials):
        chosen = rng.permutation(people)[: 2 * people // 3]
        known = set(chosen[: len(chosen) // 4].tolist())
        test = [i for i, label in enumerate(labels) if label - 1 in set(chosen.tolist())]
        gallery = [i for i in test if labels[i] - 1 in known and i % 4 == 0]
        parts["test"].append(test)
        parts["gallery"].append(gallery)
        parts["probe"].append(sorted(set(test) - set(gallery)))
    for name, rows in parts.items():
        lines = [str(trials)]
        for part in rows:
            lines += [str(len(part)), *(f"{i + 1}, {names[i]}" for i in part)]
        (lists / f"{name}_set.txt").write_text("".join(f"{line}\n" for line in lines))
    return lists

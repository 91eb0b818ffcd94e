"""Writes drawn faces in the layout in which insightface's evaluation reads IJB-B and IJB-C."""

from pathlib import Path

from facebench.harness.verification.datasets.registry import DATASETS


def write(root: Path, people: int = 30, name: str = "ijbc") -> Path:
    """Each person has a template of two photographs, and one of a photograph and a video.

    Genuine pairs are these two of each person, impostor pairs all others of the two kinds.
    """
    drawn = DATASETS["synthetic"].open(None)
    folder = root / name.upper()
    (folder / "meta").mkdir(parents=True)
    (folder / "loose_crop").mkdir()
    media, points, image = [], [], 0
    for person in range(people):
        keys = [f"Drawn_{person:02d}/Drawn_{person:02d}_{i:04d}.jpg" for i in range(1, 6)]
        # Template and medium of each; numbers have gaps, and two templates share a medium.
        places = [(0, 1), (0, 2), (1, 2), (1, 7), (1, 7)]
        for number, (key, (template, medium)) in enumerate(zip(keys, places, strict=True)):
            image += 1
            (folder / "loose_crop" / f"{image}.jpg").write_bytes(drawn.files.read(key))
            media.append(f"{image}.jpg {10 * person + 3 * template + 5} {100 * person + medium}")
            numbers = " ".join(f"{value:.3f}" for value in drawn.landmarks[key].ravel())
            points.append(f"{image}.jpg {numbers} {0.9 + 0.02 * number:.2f}")
    pairs = [
        f"{10 * one + 5} {10 * two + 8} {int(one == two)}"
        for one in range(people)
        for two in range(people)
    ]
    for what, lines in (
        ("face_tid_mid", media),
        ("name_5pts_score", points),
        ("template_pair_label", pairs),
    ):
        (folder / "meta" / f"{name}_{what}.txt").write_text("".join(f"{one}\n" for one in lines))
    _write_galleries(folder, people, name)
    return folder


def _write_galleries(folder: Path, people: int, name: str) -> None:
    """Write the lists of 1:N: every other person's first template is in either gallery."""
    first, second = {"ijbb": ("S1", "S2")}.get(name, ("G1", "G2"))
    head = "TEMPLATE_ID,SUBJECT_ID,FILENAME"
    for what, chosen in (
        (f"gallery_{first}", [(10 * one + 5, one) for one in range(0, people, 2)]),
        (f"gallery_{second}", [(10 * one + 5, one) for one in range(1, people, 2)]),
        ("probe_mixed", [(10 * one + 8, one) for one in range(people)]),
    ):
        # A line an image, of which a template has several.
        lines = [f"{template},{500 + one},img/{i}.jpg" for template, one in chosen for i in (1, 2)]
        text = "".join(f"{line}\n" for line in [head, *lines])
        (folder / "meta" / f"{name}_1N_{what}.csv").write_text(text)

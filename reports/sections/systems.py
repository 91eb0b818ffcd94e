"""Shows Table 3 of the paper: systems with their published size and accuracy, counted here."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.cost import Cost
from facebench.harness.records.store import paper_table
from facebench.reports.cells import NOTHING, median, millions, percent, rate
from facebench.reports.comparison import representative
from facebench.reports.digits import significant
from facebench.reports.evidence import BASELINE, Evidence, real_faces
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import Setting, settings

# What a system of Table 3 is here. SphereFace and CosFace have the same network.
BUILT = {
    "DeepFace": "deepface",
    "DeepFR": "vgg_face",
    "DeepID2+": "deepid2_plus",
    "Center Face": "center_face",
    "SphereFace": "sphereface_64",
    "CosFace": "sphereface_64",
    "ArcFace (LResNet100E-IR)": "resnet_ir_100",
    "FaceNet": "facenet_nn2",
    "ArcFace (LMobileNetE)": "lmobilenet_e",
    "Light CNN-29": "light_cnn_29",
    "MobileID": "mobileid",
    "ShiftFaceNet": "shiftnet_c",
    "MobileFaceNet": BASELINE,
    "MobileFaceNet (112x96)": "mobilefacenet_112x96",
    "MobileFaceNet (96x96)": "mobilefacenet_96x96",
}
# What of a system is counted and timed, where that is not all that was published.
PART = {
    "DeepFace": "without the layer that tells people apart",
    "DeepID2+": "one of its 25 networks",
    "MobileID": "for images of 47x47, a size that its authors do not say",
    "ShiftFaceNet": "ShiftNet-C for images of 112x112, with an embedding for ImageNet's classes",
}
# Why others are not built.
OPEN = {
    "DCFL": "no public text of its network was found",
}
COUNTED, PUBLISHED, TIMED = "Counted here", "Published", "Latency, ms, 1 thread"


@section("systems", "Beside the systems of the paper’s Table 3", order=25)
def systems(evidence: Evidence) -> Sequence[Block]:
    """Return a row for each system, where one of the large ones has been counted."""
    large = set(BUILT.values()) & set(evidence.costs)
    if not any(not name.startswith(BASELINE) for name in large) or BASELINE not in large:
        return []
    notes, columns = Notes(), settings(evidence.latencies, 1)
    rows = [_row(row, evidence, columns, notes) for row in paper_table(3)]
    text = (
        "The paper calls MobileFaceNet, of 4.0 MB, comparable to big networks of hundreds of MB. "
        "What was published stands beside what is counted, timed and scored here. Published sizes "
        "are of files, of 10⁶ or 2²⁰ bytes; counted ones are weights in fp32, BN folded, in "
        "10⁶ bytes. Published accuracies on LFW are each system’s own, from data and protocols "
        "of its own."
    )
    table = Table(
        "systems", "Rows of the paper’s Table 3.", _columns(columns), [RowGroup(rows)], notes.texts
    )
    return [Paragraph(text), table]


def _columns(timed: Sequence[Setting]) -> list[Column]:
    return [
        Column("System", words=True),
        Column("images", "", "published", PUBLISHED),
        Column("networks", "", "published", PUBLISHED),
        Column("size", "", "published", PUBLISHED),
        Column("LFW", "%", "published", PUBLISHED),
        Column("parameters", "millions", "counted", COUNTED),
        Column("size", "MB", "counted", COUNTED),
        Column("of MobileFaceNet’s", "×", "counted", COUNTED),
        Column("MAdds", "millions", "counted", COUNTED),
        *(Column(one.label, "", one.kind, TIMED) for one in timed),
        Column("LFW, here", "%", "measured"),
    ]


def _row(
    row: dict[str, str], evidence: Evidence, timed: Sequence[Setting], notes: Notes
) -> list[Cell]:
    method = row["method"]
    name = BUILT.get(method, "")
    why: tuple[int, ...] = ()
    if method in OPEN:
        why = notes.add(f"{method} is not built: {OPEN[method]}")
    elif method in PART and name in evidence.costs:
        why = notes.add(f"Counted and timed: {PART[method]}")
    published = [row["training_images"], row["networks"], row["model_size"], row["lfw_percent"]]
    times = [representative(evidence, name, one) for one in timed]
    return [
        Cell(method, name, notes=why),
        *(Cell(text, kind="published") if text else NOTHING for text in published),
        *_counts(evidence.costs.get(name), evidence.costs[BASELINE]),
        *(median(one, notes) if one else NOTHING for one in times),
        _score(evidence, name),
    ]


def _counts(cost: Cost | None, base: Cost) -> list[Cell]:
    if cost is None or "fp32" not in cost.size_bytes:
        return [NOTHING] * 4
    size, madds = cost.size_bytes["fp32"], cost.madds["conv+linear"]
    texts = [
        millions(cost.parameters_bn_folded),
        significant(size / 1e6, 3),
        significant(size / base.size_bytes["fp32"], 3),
        millions(madds),
    ]
    return [Cell(text, kind="counted") for text in texts]


def _score(evidence: Evidence, name: str) -> Cell:
    found = evidence.score(name, "lfw")
    if found is None or not real_faces(found) or not isinstance(found.result, Accuracy):
        return NOTHING
    return rate(percent(found.result), found.kind)

"""Shows the systems of the paper's Tables 3 and 4: published size and accuracy, counted here."""

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

# What a system of either table is here. SphereFace and CosFace have the same network.
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
    "SphereFace-Small": "sphereface_64",
    "Google-FaceNet v8": "facenet_nn2",
    "CosFace (3-patch)": "sphereface_64",
    "iBUG_DeepInsight (ArcFace)": "resnet_ir_100",
    "MobileFaceNet (R)": BASELINE,
}
# What of a system is counted and timed, where that is not all that was published.
PART = {
    "DeepFace": "without the layer that tells people apart",
    "DeepID2+": "one of its 25 networks",
    "MobileID": "for images of 47x47, a size that its authors do not say",
    "ShiftFaceNet": "ShiftNet-C for images of 112x112, with an embedding for ImageNet's classes",
    "Google-FaceNet v8": "NN2 of FaceNet's publication, which does not say what v8 was",
    "CosFace (3-patch)": "one of its three networks, each for a patch of the face",
}
_ENTRY = "an entry in MegaFace's list, of which no publication of its network was found"
# Why others are not built.
OPEN = {
    "DCFL": (
        "its abstract has a 64-layer ResNet; no public text was found that says its channels, "
        "its input and its embedding, so that it need not be SphereFace's of 64 layers"
    ),
    "SIAT MMLAB": _ENTRY,
    "DeepSense V2": _ENTRY,
    "Vocord-deepVo V3": _ENTRY,
}
COUNTED, PUBLISHED, TIMED = "Counted here", "Published", "Latency, ms, 1 thread"
_COUNTED = (
    Column("parameters", "millions", "counted", COUNTED),
    Column("size", "MB", "counted", COUNTED),
    Column("of MobileFaceNet’s", "×", "counted", COUNTED),
    Column("MAdds", "millions", "counted", COUNTED),
)


@section("systems", "Beside the systems of the paper’s Tables 3 and 4", order=25)
def systems(evidence: Evidence) -> Sequence[Block]:
    """Return a row for each system, where one of the large ones has been counted."""
    large = set(BUILT.values()) & set(evidence.costs)
    if not any(not name.startswith(BASELINE) for name in large) or BASELINE not in large:
        return []
    text = (
        "The paper calls MobileFaceNet, of 4.0 MB, comparable to big networks of hundreds of MB. "
        "What was published stands beside what is counted, timed and scored here. Published sizes "
        "are of files, of 10⁶ or 2²⁰ bytes; counted ones are weights in fp32, BN folded, in "
        "10⁶ bytes. Published accuracies are each system’s own, from data and protocols "
        "of its own."
    )
    return [Paragraph(text), _lfw(evidence), _megaface(evidence)]


def _lfw(evidence: Evidence) -> Table:
    notes, columns = Notes(), settings(evidence.latencies, 1)
    rows = [_row(row, evidence, columns, notes) for row in paper_table(3)]
    return Table(
        "systems", "Rows of the paper’s Table 3.", _columns(columns), [RowGroup(rows)], notes.texts
    )


def _megaface(evidence: Evidence) -> Table:
    notes = Notes()
    rows = [
        [
            _name(row["method"], evidence, notes),
            *(_published(row[f"tar_at_far_1e-6_{size}_percent"]) for size in ("large", "small")),
            *_counts(evidence.costs.get(BUILT.get(row["method"], "")), evidence.costs[BASELINE]),
        ]
        for row in paper_table(4)
    ]
    columns = [
        Column("System", words=True),
        Column("large", "%", "published", "Published TAR at FAR 1e-6, by training set"),
        Column("small", "%", "published", "Published TAR at FAR 1e-6, by training set"),
        *_COUNTED,
    ]
    title = "Rows of the paper’s Table 4: verification on MegaFace, its training sets apart."
    return Table("systems-megaface", title, columns, [RowGroup(rows)], notes.texts)


def _columns(timed: Sequence[Setting]) -> list[Column]:
    return [
        Column("System", words=True),
        Column("images", "", "published", PUBLISHED),
        Column("networks", "", "published", PUBLISHED),
        Column("size", "", "published", PUBLISHED),
        Column("LFW", "%", "published", PUBLISHED),
        *_COUNTED,
        *(Column(one.label, "", one.kind, TIMED) for one in timed),
        Column("LFW, here", "%", "measured"),
    ]


def _row(
    row: dict[str, str], evidence: Evidence, timed: Sequence[Setting], notes: Notes
) -> list[Cell]:
    name = BUILT.get(row["method"], "")
    published = [row["training_images"], row["networks"], row["model_size"], row["lfw_percent"]]
    times = [representative(evidence, name, one) for one in timed]
    return [
        _name(row["method"], evidence, notes),
        *(_published(text) for text in published),
        *_counts(evidence.costs.get(name), evidence.costs[BASELINE]),
        *(median(one, notes) if one else NOTHING for one in times),
        _score(evidence, name),
    ]


def _name(method: str, evidence: Evidence, notes: Notes) -> Cell:
    """Return a system's name, with a note of what is not built of it, and why."""
    name = BUILT.get(method, "")
    why: tuple[int, ...] = ()
    if method in OPEN:
        why = notes.add(f"{method} is not built: {OPEN[method]}")
    elif method in PART and name in evidence.costs:
        why = notes.add(f"Counted and timed: {PART[method]}")
    return Cell(method, name, notes=why)


def _published(text: str) -> Cell:
    return Cell(text, kind="published") if text else NOTHING


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

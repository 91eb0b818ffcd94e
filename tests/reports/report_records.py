"""Records as a full run would leave them, made without running anything."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np

from facebench.harness.devices.emulator import model
from facebench.harness.machine.cores import CORES
from facebench.harness.machine.energy import Energy
from facebench.harness.machine.footprint import Footprint
from facebench.harness.machine.memory import Memory
from facebench.harness.records.accuracy import (
    Accuracy,
    Bounded,
    Identification,
    OperatingPoint,
    SearchBounds,
)
from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.denormals import DenormalCount, Denormals
from facebench.harness.records.instructions import Instructions, KernelCount, Work
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.layers import LayerTime, LayerTimes
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Check, Record
from facebench.harness.records.templates import TemplateSearch, TemplateVerification
from facebench.harness.records.throughput import Throughput
from facebench.harness.records.trials import TrialScores
from facebench.harness.storage.serialization import Packed
from facebench.harness.verification.folds import cross_validate

# Network: row in Table 2, parameters as trained, BN folded, MAdds, activations.
NETWORKS: dict[str, tuple[str, int, int, int, int]] = {
    "mobilefacenet": ("MobileFaceNet", 1_003_136, 993_344, 220_965_376, 2_400_000),
    "mobilefacenet_112x96": ("MobileFaceNet (112x96)", 999_552, 989_760, 189_400_000, 2_060_000),
    "mobilefacenet_96x96": ("MobileFaceNet (96x96)", 996_480, 986_688, 162_400_000, 1_760_000),
    "mobilefacenet_m": ("MobileFaceNet-M", 937_600, 927_700, 220_900_000, 2_399_000),
    "mobilefacenet_s": ("MobileFaceNet-S", 850_900, 841_900, 217_700_000, 2_374_000),
    "mobilefacenet_relu": ("MobileFaceNet (ReLU)", 995_600, 985_800, 220_965_376, 2_400_000),
    "mobilefacenet_x2": (
        "MobileFaceNet (expansion factor x2)", 1_143_000, 1_130_000, 228_000_000, 2_420_000,
    ),
    "mobilenet_v1": ("MobileNetV1", 3_338_000, 3_316_000, 567_800_000, 3_770_000),
    "mobilenet_v2": ("MobileNetV2", 2_388_000, 2_354_000, 299_700_000, 4_990_000),
    "mobilenet_v2_gdconv": ("MobileNetV2-GDConv", 2_451_000, 2_417_000, 299_800_000, 4_990_000),
    "shufflenet_v1": ("ShuffleNet (1x, g=3)", 1_028_000, 1_010_000, 136_600_000, 2_230_000),
    "mobilenet_v1_gdconv": ("", 3_388_000, 3_366_000, 567_850_000, 3_770_000),
    "shufflenet_v1_gdconv": ("", 1_075_000, 1_057_000, 136_650_000, 2_230_000),
    "mobilefacenet_gap": ("", 978_048, 968_256, 220_900_000, 2_400_000),
}  # fmt: skip
BASE_MS = {
    "torch": 6.97, "torch_frozen": 3.66, "onnxruntime": 10.03, "openvino": 3.27,
    "ncnn": 2.21, "tvm": 108.0,
}  # fmt: skip
RATIOS = {
    "mobilenet_v1": (2.1, 1.86, 0.49, 1.44, 2.79, 2.6),
    "mobilenet_v2": (1.68, 1.47, 0.32, 0.86, 1.85, 1.5),
    "shufflenet_v1": (1.36, 2.35, 0.18, 0.58, 0.97, 0.8),
}
TARGETS = {
    "host": ("x86_64-unknown-linux-gnu", "x86-64"),
    "cortex-a53": ("aarch64-linux-gnu", "AArch64"),
    "cortex-a72": ("aarch64-linux-gnu", "AArch64"),
    "cortex-a76": ("aarch64-linux-gnu", "AArch64"),
    "cortex-a7": ("armv7-linux-gnueabihf", "ARM"),
}
SYNTHETIC = "synthetic: checks the pipeline, says nothing of real faces"
REFUSAL = (
    "untrained weights (random:0): a score on real faces would say nothing; give trained "
    "weights with --weights NETWORK=FILE"
)
ENVIRONMENT = {
    "cpu_model": "AMD EPYC 9B45", "cpu_features": "avx2 avx512f fma", "cores": 2,
    "memory_bytes": 16_777_216_000, "machine": "x86_64", "kernel": "6.1.0", "python": "3.11.7",
    "torch": "2.15.0", "ncnn": "1.0.20261020", "governor": "not readable",
}  # fmt: skip
HOSTILE = (
    "onnx:<script>alert(1)</script>",
    "onnx:a|b\nc`d`**e**[f](http://g.example/h)$x_1$@someone",
    '=HYPERLINK("http://i.example")',
    "onnx:\u202e\u0007顔" + "long" * 40,
)

_readings = random.Random(1)


def provenance(network: str) -> dict[str, object]:
    row = NETWORKS.get(network, ("",))[0]
    return {"paper_row": row or None, "reference": "arXiv 1804.07573", "note": "", "revision": "0"}


def record(case: Case, kind: str, result: object = None, **fields: object) -> Record:
    environment = ENVIRONMENT | {
        "load_1min": round(_readings.random(), 2),
        "memory_available_bytes": _readings.randrange(10**10),
    }
    given: dict[str, object] = {
        "status": "ok", "environment": environment, "provenance": provenance(case.network),
        "created": "2026-11-25T08:00:00+00:00",
    }  # fmt: skip
    return Record(case, kind, result=result, **{**given, **fields})  # type: ignore[arg-type]


def cost(network: str) -> Record:
    _, trained, folded, madds, activations = NETWORKS.get(network, NETWORKS["mobilenet_v2"])
    result = Cost(
        parameters=trained,
        parameters_bn_folded=folded,
        madds={
            "conv+linear": madds, "+bn": madds + 2 * activations, "+activation": madds + 10**7,
        },
        activations=activations,
        weight_bytes=4 * folded,
        activation_bytes=8 * activations,
        peak_activation_bytes=3_211_264,
        size_bytes={"fp32": 4 * folded, "fp16": 2 * folded, "int8": folded},
        input_size=(112, 112),
        embedding_size=128,
    )  # fmt: skip
    return record(Case("cost", network), "counted", result)


def latency(network: str, runtime: str, threads: int = 1, **fields: object) -> Record:
    """Around the ratios that this project measured before it began."""
    index = list(BASE_MS).index(runtime)
    base = next((RATIOS[n][index] for n in RATIOS if network.startswith(n)), 1.0)
    madds = NETWORKS.get(network, NETWORKS["mobilenet_v2"])[3] / 220_965_376
    centre = BASE_MS[runtime] * (base if base != 1.0 else madds) / threads**0.8
    draw = random.Random(f"{network}{runtime}{threads}")
    samples = tuple(centre * (1 + abs(draw.gauss(0, 0.03))) for _ in range(64))
    tvm = runtime == "tvm"
    result = Latency(samples, samples[:5], 41.0, 1e-6, "untuned" if tvm else "")
    case = Case("latency", network, runtime=runtime, target="host" if tvm else "", threads=threads)
    return record(case, "measured", result, **fields)


def started(network: str, runtime: str, energy: bool = False) -> Record:
    """A time whose two processes say how they started and what they took."""
    made = latency(network, runtime)
    assert isinstance(made.result, Latency)
    footprints = [
        Footprint(
            120.0 + number,
            30.0,
            3 * made.result.median_ms,
            Memory(80_000_000, 90_000_000, 95_000_000 + number),
            Energy(12.0, 1.0, 200, 5.0) if energy else None,
        )
        for number in range(2)
    ]
    facts = tuple(Process(41.0, 5, 9, True, footprint=one) for one in footprints)
    result = replace(made.result, processes=(32, 32), process_facts=facts)
    return replace(made, result=result)


def throughput(network: str, runtime: str, batch: int, threads: int, **fields: object) -> Record:
    rates = tuple(200.0 * threads * batch**0.1 * (1 + 0.01 * number) for number in range(7))
    case = Case("throughput", network, runtime=runtime, batch=batch, threads=threads)
    given: dict[str, object] = {"result": Throughput(rates), **fields}
    return record(case, "measured", **given)


def denormals(network: str) -> Record:
    """A layer with denormal weights, and what they make."""
    weights = DenormalCount(f"<b>{network}.weight", 1000, 25)
    result = Denormals(4, (weights,), (DenormalCount("conv", 10**6, 7),))
    return record(Case("denormals", network, TRAINED), "counted", result)


def flushed(network: str, runtime: str) -> list[Record]:
    """Times with denormal numbers kept and flushed."""
    made = latency(network, runtime)
    return [replace(made, case=replace(made.case, denormals=what)) for what in ("kept", "flushed")]


def beside_time(networks: tuple[str, ...] = ("mobilefacenet", "mobilenet_v2")) -> list[Record]:
    """What is looked at beside accuracy and time; one case of it is refused."""
    records = [denormals(network) for network in networks] + flushed(networks[0], "onnxruntime")
    for network, batch, threads in itertools.product(networks, (1, 4), (1, 2)):
        records.append(throughput(network, "onnxruntime", batch, threads))
    reason = "runtime ncnn infers one image at a time"
    gap = {"status": "refused", "reason": reason, "result": None}
    return [*records, throughput(networks[0], "ncnn", 4, 1, **gap)]


def work(madds: int, levels: int, share: float = 1.0) -> Work:
    """What so many MAdds take, in round numbers: a quarter of them are vector instructions."""
    fma = int(madds * share / 4)
    mix = {"fma": fma, "load": fma // 2, "store": fma // 8, "simd": fma // 4, "integer": fma // 4}
    return Work(
        instructions=sum(mix.values()),
        mix=mix,
        bytes_loaded=16 * mix["load"],
        bytes_stored=16 * mix["store"],
        misses=tuple(fma // 50 // 4**level for level in range(levels)),
        lines_written=fma // 800,
        cycles=1.25 * fma,
    )


def emulated(network: str, core: str = "kryo", runtime: str = "ncnn") -> list[Record]:
    """Counts on an emulated core, and the time that the model makes of them."""
    figures = CORES[core].figures
    assert figures is not None
    madds = NETWORKS.get(network, NETWORKS["mobilenet_v2"])[3]
    levels = len(figures.levels)
    shares = {"conv1x1s1_pack4_neon": 0.6, f"<b>{network}": 0.3, "2 smaller ones": 0.1}
    tvm = runtime == "tvm"
    counted = Instructions(
        core=core,
        line_bytes=tuple(level.line_bytes for level in figures.levels),
        work=work(madds, levels),
        kernels=tuple(KernelCount(n, work(madds, levels, share)) for n, share in shares.items()),
        output_error=1e-6,
        label="untuned" if tvm else "",
    )
    case = Case(
        "instructions", network, runtime=runtime, target=core if tvm else "",
        device=f"emulated:{core}",
    )  # fmt: skip
    cycles = model.cycles(counted, figures, f"{runtime} 1", validated=runtime == "ncnn")
    return [
        record(case, "emulated", counted),
        record(replace(case, measure="cycles"), "modelled", cycles),
    ]


def compiled(network: str, target: str) -> Record:
    triple, machine = TARGETS[target]
    result = Compilation(triple, machine, ("neon",), 4_412_345, 11.3, {"tuned": 0, "plain": 24})
    return record(Case("compile", network, runtime="tvm", target=target), "counted", result)


def synthetic(network: str) -> Record:
    draw = random.Random(network)
    folds = tuple(0.8 + 0.1 * draw.random() for _ in range(10))
    result = Accuracy(folds, (0.2,) * 10, 1200, SYNTHETIC, "sum", 143.7)
    case = Case("accuracy", network, runtime="torch", dataset="synthetic")
    return record(case, "measured", result)


def lfw(network: str) -> Record:
    folds = (0.995, 0.9933, 0.9967, 0.99, 0.9917, 0.9967, 0.995, 0.9917, 0.9967, 0.996)
    result = Accuracy(folds, (0.2,) * 10, 6000, "", "sum", 143.7)
    weights = "sha256:" + 16 * "ab12"
    case = Case("accuracy", network, weights, runtime="torch", dataset="lfw")
    return record(case, "measured", result)


def refused(network: str) -> Record:
    case = Case("accuracy", network, runtime="torch", dataset="lfw")
    return record(case, "measured", status="refused", reason=REFUSAL)


TRAINED = "sha256:" + 16 * "ab12"
PEOPLE = 120


def pair_scores(
    seed: int,
    distance: float = 3.0,
    pairs: int = 600,
    digest: str = "lfw-pairs",
    known: bool = True,
) -> PairScores:
    """Normal scores of as many genuine as impostor pairs in ten folds, `distance` deviations apart.

    The pairs depend on their count alone, as those of a dataset do; the scores on `seed`.
    """
    layout, draw = np.random.default_rng(0), np.random.default_rng(seed)
    index = np.arange(pairs)
    same = index % 2 == 0
    first = layout.integers(PEOPLE, size=pairs)
    second = np.where(same, first, (first + layout.integers(1, PEOPLE, size=pairs)) % PEOPLE)
    # What makes a pair hard is in the pair: networks err on the same ones.
    hard = layout.normal(size=pairs)
    noise = 0.8 * hard + 0.6 * draw.normal(size=pairs)
    scores = 0.1 * (noise + np.where(same, distance, 0.0))
    people = np.stack([first, second], axis=1).tolist() if known else []
    return PairScores.pack(scores, same, index * 10 // pairs, people, digest)


def scored(
    network: str,
    pairs: PairScores,
    dataset: str = "lfw",
    label: str = "",
    flip: str = "sum",
    **fields: object,
) -> Record:
    """A record of schema 2: accuracy by the protocol, from the scores it holds."""
    folds, thresholds = cross_validate(pairs.scores.astype(np.float64), pairs.same, pairs.folds)
    result = Accuracy(folds, thresholds, len(pairs), label, flip, 143.7, pairs)
    case = Case(
        "accuracy", network, TRAINED, runtime="torch", dataset=dataset, flip=flip,
        landmarks="file", absent="refuse",
    )  # fmt: skip
    return record(replace(case, **fields), "measured", result)  # type: ignore[arg-type]


def by_groups(network: str) -> Record:
    """A record of pairs of two groups, 600 of each, each with pairs in all ten folds."""
    names = ["north" if i % 40 < 20 else "south" for i in range(1200)]
    pairs = replace(
        pair_scores(3, pairs=1200, digest="grouped"),
        packed_groups=Packed(bytes(name == "south" for name in names)),
        group_names=("north", "south"),
    )
    return scored(network, pairs, "rfw")


def without_faces(network: str, names: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Record:
    """A record with landmarks of a detector that found no face in some images."""
    pairs = pair_scores(5, pairs=540, digest="fewer")
    made = scored(network, pairs, "agedb_30", landmarks="scrfd@ab12", absent="exclude")
    assert isinstance(made.result, Accuracy)
    return replace(made, result=replace(made.result, not_found=names, excluded_pairs=60))


def searched(network: str, dataset: str = "megaface_mini", **fields: object) -> Record:
    result = Identification(
        probes=1000,
        mated_searches=8000,
        distractors=20_000,
        found_at=(7200, 7400, 7500),
        tpir=(OperatingPoint(0.1, 0.31, 7000, 8000), OperatingPoint(0.01, 0.42, 6100, 8000)),
        tar=(OperatingPoint(1e-4, 0.4, 3700, 4000), OperatingPoint(1e-6, 0.55, 3300, 4000)),
        identities=80,
        label="",
        flip="sum",
        images_per_second=310.0,
        searches_per_second=5200.0,
        not_found=(),
        bounds=SearchBounds(
            Bounded(0.9, (0.85, 0.94)),
            (Bounded(0.875, (0.8, 0.93)), Bounded(0.7625, (0.6, 0.88))),
            (Bounded(0.925, (0.88, 0.96)), Bounded(0.825, (0.7, 0.91))),
        ),
    )
    case = Case("identification", network, TRAINED, runtime="torch", dataset=dataset, flip="sum")
    return record(replace(case, **fields), "measured", result)  # type: ignore[arg-type]


def by_templates(network: str, dataset: str = "ijbc") -> Record:
    """A record of comparing templates; one FAR has too few impostor pairs."""
    result = TemplateVerification(
        tar=(OperatingPoint(1e-4, 0.41, 16_000, 20_000), OperatingPoint(1e-5, 0.5, 14_000, 20_000)),
        bounds=(Bounded(0.8, (0.78, 0.82)), Bounded(0.7, (0.65, 0.74))),
        refused=("a FAR of 1e-06 isn't supported by 2000000 impostor pairs",),
        templates=23_124,
        images=469_375,
        genuine=20_000,
        impostor=2_000_000,
        people=3_531,
        over="groups",
        label="",
        flip="sum",
        images_per_second=310.0,
        pairs_per_second=1e6,
    )
    case = Case("templates", network, TRAINED, runtime="torch", dataset=dataset, flip="sum")
    return record(case, "measured", result)


def in_galleries(network: str, dataset: str = "ijbc_1n") -> Record:
    """A record of searching for templates in two galleries."""
    result = TemplateSearch(
        ranks=(1, 5),
        found=(Bounded(0.9, (0.88, 0.92)), Bounded(0.95, (0.93, 0.96))),
        fpirs=(0.1, 0.01),
        fnir=(Bounded(0.15, (0.12, 0.18)), Bounded(0.3, (0.22, 0.4))),
        thresholds=((0.3, 0.31), (0.4, 0.41)),
        galleries=(1_772, 1_759),
        probes=19_593,
        mated=(8_000, 11_593),
        people=3_531,
        images=469_375,
        label="",
        flip="sum",
        images_per_second=310.0,
        searches_per_second=1e4,
    )
    case = Case("galleries", network, TRAINED, runtime="torch", dataset=dataset, flip="sum")
    return record(case, "measured", result)


def in_trials(network: str) -> Record:
    """A record of trials."""
    result = TrialScores(
        far=0.001,
        tar=(0.9, 0.92, 0.88),
        alarm_rate=0.01,
        found=(0.6, 0.64, 0.62),
        genuine=(231_834, 218_833, 59_104),
        impostor=(52_613_506, 47_845_277, 44_003_982),
        mated=(4_832, 3_943, 4_105),
        unmated=(4_449, 4_862, 4_283),
        images=13_233,
        people=5_749,
        label="",
        flip="sum",
        images_per_second=310.0,
    )
    case = Case("trials", network, TRAINED, runtime="torch", dataset="blufr", flip="sum")
    return record(case, "measured", result)


def in_int8(network: str) -> Record:
    """A time in int8 that is longer than in single precision, and what stayed there."""
    made = latency(network, "onnxruntime")
    assert isinstance(made.result, Latency)
    longer = tuple(1.7 * sample for sample in made.result.samples_ms)
    facts = {"left_wider": ["33 PRelu"], "artifact_bytes": 1_146_880}
    return replace(
        made,
        case=replace(made.case, precision="int8"),
        result=replace(made.result, samples_ms=longer),
        provenance=made.provenance | facts,
    )


def large_cost() -> Record:
    """The cost of a network that is as large as LResNet100E-IR."""
    small = cost("mobilefacenet")
    assert isinstance(small.result, Cost)
    result = replace(small.result, size_bytes={"fp32": 260_520_000})
    return replace(small, case=replace(small.case, network="resnet_ir_100"), result=result)


def trained_latency(network: str, runtime: str) -> Record:
    """A time with the weights that `scored` was scored with."""
    made = latency(network, runtime)
    return replace(made, case=replace(made.case, weights=TRAINED))


def scored_run(networks: int = 4) -> list[Record]:
    """Networks scored on the same pairs of real faces, the baseline under int8 too; searches."""
    names = list(NETWORKS)[:networks]
    records = [scored(name, pair_scores(i, 3.0 + 0.2 * i)) for i, name in enumerate(names)]
    int8 = {"precision": "int8", "runtime": "openvino", "calibration": "synthetic"}
    records.append(scored("mobilefacenet", pair_scores(0, 2.98), **int8))
    records += [without_faces("mobilefacenet"), searched("mobilefacenet"), searched(names[-1])]
    records += [by_templates("mobilefacenet"), in_galleries("mobilefacenet")]
    records += [in_trials("mobilefacenet")]
    records += [by_groups("mobilefacenet")]
    return records + [
        trained_latency(name, runtime) for name in names for runtime in ("ncnn", "openvino", "tvm")
    ]


def full_run() -> list[Record]:
    """Fourteen networks under six runtimes, with one failure, refusals and a doubtful time."""
    records = [cost(network) for network in NETWORKS]
    records += [compiled(*pair) for pair in itertools.product(NETWORKS, TARGETS)]
    for network, runtime, threads in itertools.product(NETWORKS, BASE_MS, (1, 2)):
        if runtime == "tvm" and threads == 2:
            continue
        if (network, runtime) == ("shufflenet_v1_gdconv", "ncnn"):
            case = Case("latency", network, runtime=runtime, threads=threads)
            reason = "outputs differ from torch by 0.31, over 0.001: a wrong answer is not timed"
            records.append(record(case, "measured", status="failed", reason=reason))
            continue
        checks = (
            (Check("quiet machine", False, "load 3.10 on 2 cores when timing began"),)
            if (network, runtime) == ("mobilenet_v1", "openvino")
            else ()
        )
        records.append(latency(network, runtime, threads, checks=checks))
    for network in NETWORKS:
        records += emulated(network) + emulated(network, "cortex-a76", "tvm")
    records += [synthetic(network) for network in NETWORKS]
    records += [refused(network) for network in NETWORKS if network != "mobilefacenet"]
    for energy, network in enumerate(("mobilefacenet", "mobilenet_v2")):
        again = started(network, "ncnn", bool(energy))
        records = [again if one.case == again.case else one for one in records]
    fields = [seen(network) for network in ("mobilefacenet", "mobilenet_v2_gdconv")]
    layers = [profiled(network) for network in ("mobilefacenet", "mobilenet_v2")]
    others = [*scored_run(), *beside_time(), *fields, *layers, in_int8("mobilefacenet")]
    return [*records, lfw("mobilefacenet"), *others]


def hostile_run() -> list[Record]:
    """Two networks of the full run, and ones with names meant to break a page."""
    records = [f(n) for n in ("mobilefacenet", "mobilenet_v2") for f in (cost, synthetic)]
    records += [latency(network, "ncnn") for network in ("mobilefacenet", "mobilenet_v2")]
    records += emulated("mobilefacenet") + emulated("mobilenet_v2")
    for network in HOSTILE:
        reason = f"{network} has no embedding | <b>none</b>\nat all"
        records += [cost(network), latency(network, "ncnn"), synthetic(network)]
        records += emulated(network)
        records.append(
            record(Case("compile", network, target="host"), "counted", status="failed",
                   reason=reason)
        )  # fmt: skip
        records.append(scored(network, pair_scores(len(network)), f"folder:{network}", network))
        records.append(scored(network, pair_scores(len(network)), "lfw"))
        records.append(searched(network, f"folder:{network}"))
        records.append(without_faces(network, (network, *HOSTILE * 2)))
        records.append(denormals(network))
        records.append(throughput(network, "onnxruntime", 1, 1))
    return records


def seen(network: str) -> Record:
    """Receptive fields that fall off from their unit, and weights that do from the centre."""
    rows, columns = np.mgrid[:28, :28]
    centre, corner = (
        np.exp(-((rows - at) ** 2 + (columns - at) ** 2) / 40.0).round(5).tolist() for at in (14, 0)
    )
    place = np.hypot(*(np.mgrid[:7, :7] - 3))
    weights = (1.5 - place / 6).round(5).tolist()
    maps = [tuple(map(tuple, one)) for one in (centre, corner, weights)]
    result = Fields((7, 7), maps[0], maps[1], maps[2], 16)
    return record(Case("fields", network, TRAINED), "counted", result)


def profiled(network: str) -> Record:
    """Layers, the slowest of which is an activation."""
    layers = tuple(
        LayerTime(f"/{name}_{i}", name, 0.1 * (i + 1) * (2 if name == "PRelu" else 1))
        for i in range(8)
        for name in ("Conv", "PRelu")
    )
    case = Case("layers", network, runtime="onnxruntime")
    return record(case, "measured", LayerTimes(layers, 50))

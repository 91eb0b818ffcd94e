"""Records that decide a claim, and what is said of it on them."""

from __future__ import annotations

from dataclasses import replace

from facebench.harness.records.accuracy import Bounded, Identification, OperatingPoint, SearchBounds
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record
from facebench.reports.claims import ClaimFinding, Judged
from facebench.reports.claims.papers import judged, load
from facebench.reports.evidence import Evidence
from tests.reports.report_records import latency, pair_scores, scored, searched

PAPER = load()


def said(name: str, *records: Record) -> Judged:
    return next(one for one in judged(Evidence(records)) if one.claim.name == name)


def told(finding: ClaimFinding) -> str:
    return " ".join(finding.reasons)


def timed(
    network: str, ms: float, runtime: str = "ncnn", spread: float = 0.001, processes: int = 4
) -> Record:
    """A time of several processes that are alike."""
    one = latency(network, runtime)
    assert isinstance(one.result, Latency)
    samples = tuple(
        ms * (1 + spread * (i - 32) / 32) for k in range(processes) for i in range(k, 64, processes)
    )
    counts = (64 // processes,) * processes
    result = replace(one.result, samples_ms=samples, label="", processes=counts)
    return replace(one, result=result)


def trained(record: Record, conditions: str = "alike", seed: int = 0) -> Record:
    training = {
        "recipe": "distill", "epochs": 12.0, "seed": seed, "images": 21_497, "people": 3_556,
        "conditions": conditions,
    }  # fmt: skip
    return replace(record, provenance=record.provenance | {"training": training})


# Judged by what others published, whatever the records are.
OF_PUBLISHED = {"software-age"}


def disturbed(record: Record) -> Record:
    return replace(record, checks=(Check("machine kept its speed", False, "1.4 times"),))


def of_seeds(name: str, distance: float, seeds: int, **fields: object) -> list[Record]:
    """A network trained from so many seeds, which err on other pairs each."""
    return [
        trained(replace(one, case=replace(one.case, weights=f"sha256:{name}{seed}")), seed=seed)
        for seed in range(seeds)
        for one in [scored(name, pair_scores(100 * len(name) + seed, distance, **fields))]  # type: ignore[arg-type]
    ]


def of_as_many_images(record: Record, images: int = 3_800_000) -> Record:
    """With weights trained on as many images as the paper's."""
    training = {"conditions": "alike", "seed": 0, "images": images, "people": 85_000}
    return replace(record, provenance=record.provenance | {"training": training})


def million_searched(accepted: int, distractors: int = 1_000_000) -> Record:
    """A search of which so many of 4,000 genuine pairs are accepted at FAR 1e-6."""
    searched_by = searched("mobilefacenet", "megaface")
    assert isinstance(searched_by.result, Identification)
    points, share = (OperatingPoint(1e-6, 0.5, accepted, 4000),), accepted / 4000
    bounds = SearchBounds(
        Bounded(0.9, (0.85, 0.94)), (), (Bounded(share, (share - 0.01, share + 0.002)),)
    )
    result = replace(searched_by.result, distractors=distractors, tar=points, bounds=bounds)
    return trained(replace(searched_by, result=result))

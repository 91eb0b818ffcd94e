"""Searches for templates, sets of a person's images, in galleries, with what a runtime executes."""

from __future__ import annotations

import time

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, Sharding, register
from facebench.harness.records.comparable import Decided
from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateSearch
from facebench.harness.verification.faces import GallerySet
from facebench.harness.verification.templates import faceless, pool


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, GallerySet)
    deployment = deploy(job, timed=False)
    embedder, agreed = scoring.embedder(job, deployment)
    # It takes a while, for which processes that time need not wait.
    from facebench.harness.verification.gallery_search import RANKS, search_galleries, search_rates

    embedding = scoring.StreamedEmbedding(job, faces, embedder)
    templates = pool(embedding.blocks(), faces)
    began = time.perf_counter()
    found = search_galleries(templates, faces)
    seconds = time.perf_counter() - began
    rates = search_rates(found)
    result = TemplateSearch(
        ranks=RANKS,
        found=rates.found,
        fpirs=rates.fpirs,
        fnir=rates.fnir,
        thresholds=rates.thresholds,
        galleries=tuple(len(rows) for rows in faces.galleries),
        probes=len(faces.probes),
        mated=tuple(len(one.mate) for one in found),
        people=len({person for one in found for person in one.person.tolist()}),
        images=len(faces.images),
        label=faces.label,
        flip=job.case.flip,
        images_per_second=len(faces.images) / embedding.seconds,
        searches_per_second=len(faces.probes) * len(found) / seconds,
        not_found=prepared.not_found,
        missed=faceless(faces, faces.probes, *faces.galleries),
    )
    return Outcome(
        result,
        (*agreed, *scoring.machine_checks(job, frozenset(embedding.cpus))),
        scoring.provenance(deployment, prepared),
    )


def _summary(record: Record, result: TemplateSearch) -> str:
    label = f" ({result.label})" if result.label else ""
    return f"rank 1 {result.found[0].value:.2%} of {sum(result.mated):,} mated probes{label}"


def _comparable(result: TemplateSearch) -> list[Decided]:
    return [Decided("rank 1", result.found[0].value, sum(result.mated))]


register(
    Measure(
        name="galleries",
        about="share of templates that are found in galleries, and FNIR at FPIR, 1:N",
        result=TemplateSearch,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(scoring.image_shards, scoring.embed_shard),
        per=Per.DATASET,
        reports=(
            "rank 1, 5 and 10 and FNIR at FPIR 0.1 and 0.01, means over the galleries. A "
            "probe without a face finds nobody or is left out, as --absent says"
        ),
    )
)

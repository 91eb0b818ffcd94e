"""Verifies pairs of templates, sets of a person's images, with what a runtime executes."""

from __future__ import annotations

import time

import numpy as np

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, Sharding, register
from facebench.harness.records.comparable import Decided
from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateVerification
from facebench.harness.verification.faces import TemplateSet
from facebench.harness.verification.templates import compare, faceless, pool


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, TemplateSet)
    deployment = deploy(job, timed=False)
    embedder, agreed = scoring.embedder(job, deployment)
    # It takes a while, for which processes that time need not wait.
    from facebench.harness.verification.template_rates import rates

    embedding = scoring.StreamedEmbedding(job, faces, embedder)
    templates = pool(embedding.blocks(), faces)
    began = time.perf_counter()
    scores = compare(templates, faces, job.progress)
    seconds = time.perf_counter() - began
    found = rates(scores, faces)
    genuine = int(np.count_nonzero(faces.same))
    result = TemplateVerification(
        tar=found.tar,
        bounds=found.bounds,
        refused=found.refused,
        templates=len(faces.people),
        images=len(faces.images),
        genuine=genuine,
        impostor=len(scores) - genuine,
        people=found.people,
        over=faces.over,
        label=faces.label,
        flip=job.case.flip,
        images_per_second=len(faces.images) / embedding.seconds,
        pairs_per_second=len(scores) / seconds,
        not_found=prepared.not_found,
        missed=faceless(faces, faces.first, faces.second),
        excluded_pairs=prepared.excluded_pairs,
    )
    return Outcome(
        result,
        (*agreed, *scoring.machine_checks(job, frozenset(embedding.cpus))),
        scoring.provenance(deployment, prepared),
    )


def _summary(record: Record, result: TemplateVerification) -> str:
    label = f" ({result.label})" if result.label else ""
    if not result.tar:
        return f"too few impostor pairs for a TAR{label}"
    point = result.tar[-1]
    return f"TAR {point.true_rate:.2%} at FAR {point.rate:g}{label}"


def _comparable(result: TemplateVerification) -> list[Decided]:
    return [
        Decided(f"TAR at FAR {point.rate:g}", point.true_rate, point.trials) for point in result.tar
    ]


register(
    Measure(
        name="templates",
        about="TAR at FAR of a data set's pairs of templates, 1:1",
        result=TemplateVerification,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(scoring.image_shards, scoring.embed_shard),
        per=Per.DATASET,
        reports=(
            "TAR at FAR 0.1 to 1e-6 as far as impostor pairs support it. An image without "
            "a face is left out of its template; a pair with a template of none scores -1 "
            "or is left out, as --absent says"
        ),
    )
)

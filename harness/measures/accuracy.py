"""Verification accuracy of what a runtime executes, on a dataset's pairs."""

from __future__ import annotations

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome, Sharding
from facebench.harness.verification.embedding import blocks_of, extract, extract_blocks
from facebench.harness.verification.faces import PairSet
from facebench.harness.verification.protocol import score, verify


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, PairSet)
    deployment = deploy(job)
    embedder, agreed = scoring.embedder(job, deployment)
    keys = [key for key in faces.keys if key not in prepared.rejected]
    extraction = extract(
        faces, keys, embedder, job.case.flip, lambda done: job.progress(done, len(keys))
    )
    accuracy = verify(
        score(faces, keys, extraction.embeddings, prepared.rejected),
        label=faces.label,
        flip=job.case.flip,
        images_per_second=extraction.images_per_second,
        not_found=prepared.not_found,
        excluded_pairs=prepared.excluded_pairs,
    )
    return Outcome(
        accuracy,
        (*agreed, *scoring.faces_checks(faces), *scoring.machine_checks(job, extraction.cpus)),
        scoring.provenance(deployment, prepared) | {"embeddings": extraction.entries},
    )


def _prepare(job: Job) -> None:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    embedder, _ = scoring.embedder(job, deploy(job))
    keys = [key for key in prepared.faces.keys if key not in prepared.rejected]
    assert job.shard is not None
    for _ in extract_blocks(
        prepared.faces, keys, embedder, job.case.flip, shard=job.shard, shards=job.shards
    ):
        pass


def _shards(job: Job) -> int:
    return blocks_of(len(scoring.dataset(job).open(job.data).keys))


MEASURES.add(
    "accuracy",
    Measure(
        "accuracy",
        "",
        _obtain,
        scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(_shards, _prepare),
    ),
)

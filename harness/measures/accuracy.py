"""Verification accuracy of what a runtime executes, on a dataset's pairs."""

from __future__ import annotations

from harness.deployment import deploy
from harness.job import Job
from harness.measures import scoring
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.verification.embedding import extract
from harness.verification.faces import PairSet
from harness.verification.protocol import score, verify


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
        (*agreed, *scoring.faces_checks(faces)),
        scoring.provenance(deployment, prepared) | {"embeddings": extraction.entries},
    )


MEASURES.add(
    "accuracy",
    Measure("accuracy", "", _obtain, scoring.depends_on, stage=3, exclusive=True),
)

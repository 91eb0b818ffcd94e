"""1:N identification with what a runtime executes: probes searched for among distractors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.deployment import deploy
from harness.job import Job
from harness.measures import scoring
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.verification.embedding import (
    Embedder,
    Embeddings,
    Progress,
    extract,
    extract_blocks,
)
from harness.verification.faces import SearchSet
from harness.verification.identification import identification, search


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, SearchSet)
    deployment = deploy(job)
    embedder, agreed = scoring.embedder(job, deployment)
    work = _Extraction(job, faces, embedder)
    probes = work.probes()
    people = np.unique([faces.identities[key] for key in faces.probes], return_inverse=True)[1]
    found = search(probes, people, work.distractors())
    result = identification(
        found,
        label=faces.label,
        flip=job.case.flip,
        images_per_second=len(faces.keys) / work.seconds,
        not_found=prepared.not_found,
    )
    return Outcome(
        result,
        (*agreed, *scoring.faces_checks(faces)),
        scoring.provenance(deployment, prepared),
    )


class _Extraction:
    """Embeddings of probes, then of distractors block by block; and the seconds they took."""

    def __init__(self, job: Job, faces: SearchSet, embedder: Embedder) -> None:
        self._job, self._faces, self._embedder = job, faces, embedder
        self.seconds = 0.0

    def probes(self) -> Embeddings:
        done = extract(
            self._faces, self._faces.probes, self._embedder, self._job.case.flip, self._progress(0)
        )
        self.seconds += done.seconds
        return done.embeddings

    def distractors(self) -> Iterator[Embeddings]:
        names: Sequence[str] = self._faces.distractors
        progress = self._progress(len(self._faces.probes))
        for block in extract_blocks(
            self._faces, names, self._embedder, self._job.case.flip, progress
        ):
            self.seconds += block.seconds
            yield block.embeddings

    def _progress(self, before: int) -> Progress:
        return lambda done: self._job.progress(before + done, len(self._faces.keys))


MEASURES.add(
    "identification",
    Measure("identification", "", _obtain, scoring.depends_on, stage=3, exclusive=True),
)

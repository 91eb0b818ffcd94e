"""Measures the verification accuracy of what a runtime executes, on a dataset's pairs."""

from __future__ import annotations

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, Sharding, register
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.comparable import Decided
from facebench.harness.records.record import Record
from facebench.harness.verification.embedding import extract
from facebench.harness.verification.faces import PairSet
from facebench.harness.verification.folds import decided
from facebench.harness.verification.protocol import score, verify


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, PairSet)
    deployment = deploy(job, timed=False)
    embedder, agreed = scoring.embedder(job, deployment)
    keys = [key for key in faces.keys if key not in prepared.rejected]
    extraction = extract(faces, keys, embedder, job.case.flip, job.progress)
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


def _summary(record: Record, result: Accuracy) -> str:
    label = f" ({result.label})" if result.label else ""
    return f"{result.accuracy:.2%} (standard error {result.standard_error:.2%}){label}"


def _comparable(result: Accuracy) -> list[Decided]:
    scores, found = result.scores, decided(result)
    if scores is None or found is None:
        return [Decided("accuracy", result.accuracy, result.pairs)]
    return [Decided.pack("accuracy", found, scores.digest, scores.identities)]


register(
    Measure(
        name="accuracy",
        about="share of a data set's pairs that are told right, 1:1",
        result=Accuracy,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(scoring.image_shards, scoring.embed_shard),
        per=Per.DATASET,
        reports=(
            "accuracy, the mean of the folds, each at the threshold that is best on the "
            "others; TAR at FAR 1e-2, 1e-3 and 1e-4 as far as impostor pairs support it; "
            "EER, AUC and d'. A pair without a face is left out or scores -1, as --absent "
            "says"
        ),
    )
)

"""Verifies and searches in trials with what a runtime executes."""

from __future__ import annotations

import numpy as np

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, Sharding, register
from facebench.harness.records.comparable import Decided
from facebench.harness.records.record import Record
from facebench.harness.records.trials import TrialScores, over_trials
from facebench.harness.verification.faces import TrialSet


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, TrialSet)
    deployment = deploy(job, timed=False)
    embedder, agreed = scoring.embedder(job, deployment)
    from facebench.harness.verification.trials import ALARM_RATE, FAR, trial_rates

    embedding = scoring.StreamedEmbedding(job, faces, embedder)
    rates = trial_rates(np.concatenate(list(embedding.blocks())), faces)
    result = TrialScores(
        far=FAR,
        tar=tuple(one.tar for one in rates),
        alarm_rate=ALARM_RATE,
        found=tuple(one.found for one in rates),
        genuine=tuple(one.genuine for one in rates),
        impostor=tuple(one.impostor for one in rates),
        mated=tuple(one.mated for one in rates),
        unmated=tuple(one.unmated for one in rates),
        images=len(faces.images),
        people=len(np.unique(faces.people)),
        label=faces.label,
        flip=job.case.flip,
        images_per_second=len(faces.images) / embedding.seconds,
        not_found=prepared.not_found,
    )
    return Outcome(
        result,
        (*agreed, *scoring.machine_checks(job, frozenset(embedding.cpus))),
        scoring.provenance(deployment, prepared),
    )


def _summary(record: Record, result: TrialScores) -> str:
    label = f" ({result.label})" if result.label else ""
    tar = over_trials(result.tar).reported
    return f"TAR {tar:.2%} at FAR {result.far:g}, mean less deviation{label}"


def _comparable(result: TrialScores) -> list[Decided]:
    tar, found = over_trials(result.tar), over_trials(result.found)
    return [
        Decided(f"TAR at FAR {result.far:g}", tar.mean, min(result.genuine)),
        Decided(f"found at {result.alarm_rate:g} false alarms", found.mean, min(result.mated)),
    ]


register(
    Measure(
        name="trials",
        about="TAR and the share of probes found, over trials of a data set's images",
        result=TrialScores,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(scoring.image_shards, scoring.embed_shard),
        per=Per.DATASET,
        reports=(
            "TAR at FAR 0.001 and, at 1 % of false alarms, the share of probes that are found "
            "first: means over the trials less their standard deviation. Trials do without an "
            "image in which there is no face"
        ),
    )
)

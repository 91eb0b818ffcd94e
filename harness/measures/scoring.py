"""Holds what measures on faces share: images, embeddings, and what these depend on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures import deployment as deployments
from facebench.harness.measures.deployment import Deployment
from facebench.harness.measures.job import Job
from facebench.harness.models.precision import require_disjoint
from facebench.harness.records.record import Check
from facebench.harness.storage.cache import digest
from facebench.harness.verification import preparation
from facebench.harness.verification.census import census
from facebench.harness.verification.datasets.registry import DATASETS, Dataset
from facebench.harness.verification.embedding import (
    Embedder,
    Embeddings,
    blocks_of,
    extract_blocks,
)
from facebench.harness.verification.faces import FaceSet, PairSet
from facebench.harness.verification.preparation import Prepared


def dataset(job: Job) -> Dataset:
    """Return the job's data set; a path in its name is in the job, not in the case."""
    return DATASETS[job.dataset or job.case.dataset]


def require_trained(job: Job) -> None:
    """Raise `RefusedError` for real faces and untrained weights."""
    if not dataset(job).label and not job.network.trained:
        raise RefusedError(
            f"untrained weights ({job.case.weights}): a score on real faces would say nothing; "
            "give trained ones with --weights NETWORK=FILE"
        )


def prepare(job: Job) -> Prepared[FaceSet]:
    """Open the job's faces, find their landmarks, settle what becomes of those without.

    Raises:
        RefusedError: int8 would be calibrated on faces that it is scored on.
    """
    opened = dataset(job).open(job.data)
    if job.calibration:
        require_disjoint(DATASETS[job.calibration].images(job.data), opened)
    located = preparation.locate(opened, job.landmarks, job.progress, (job.shard or 0) / job.shards)
    return preparation.settle(located, job.case.absent)


def embedder(job: Job, deployment: Deployment) -> tuple[Embedder, tuple[Check, ...]]:
    """Return the job's network, ready to embed, and that its answers are right.

    Here it is one session a thread. Elsewhere it is one with all threads: each
    would be a connection of its own.
    """
    threads = job.case.threads
    remote = DEVICES[job.case.device].remote
    count = 1 if remote else threads
    sessions = [deployment.open(threads if remote else 1) for _ in range(count)]
    infers = [session.infer for session in sessions]
    _, agreed = deployment.check(infers[0])
    made = Embedder(
        infers,
        deployment.preprocessing,
        deployment.input_size,
        job.case.batch,
        digest(deployment.digest, deployments.code(job.case), deployments.depends_on(job)),
    )
    return made, agreed


@dataclass
class StreamedEmbedding:
    """It embeds a set's images block by block, and keeps what that took.

    Attributes:
        seconds: so far, as if one process had made them all.
        cpus: the kinds of processor that made them.
    """

    job: Job
    faces: FaceSet
    embedder: Embedder
    seconds: float = 0.0
    cpus: set[str] = field(default_factory=set)

    def blocks(self) -> Iterator[Embeddings]:
        """Yield the embeddings `(n, E)` of the images, in their order."""
        flip, progress = self.job.case.flip, self.job.progress
        for block in extract_blocks(self.faces, self.faces.keys, self.embedder, flip, progress):
            self.seconds += block.seconds
            self.cpus |= block.cpus
            yield block.embeddings


def embed_shard(job: Job) -> None:
    """Embed one shard of a data set's images, and leave them in the cache."""
    require_trained(job)
    prepared = prepare(job)
    made, _ = embedder(job, deployments.deploy(job, timed=False))
    keys = [key for key in prepared.faces.keys if key not in prepared.rejected]
    assert job.shard is not None
    for _ in extract_blocks(
        prepared.faces, keys, made, job.case.flip, shard=job.shard, shards=job.shards
    ):
        pass


def image_shards(job: Job) -> int:
    """Return how many shards a data set's images make."""
    return blocks_of(len(dataset(job).open(job.data).keys))


def faces_checks(faces: FaceSet) -> tuple[Check, ...]:
    """Return conditions that the dataset itself should meet."""
    checks = [_no_duplicates(faces)]
    if isinstance(faces, PairSet) and faces.identities:
        checks.append(_no_one_twice(faces))
    return tuple(checks)


def machine_checks(job: Job, cpus: frozenset[str]) -> tuple[Check, ...]:
    """Check that the machines that embedded a dataset together are of one kind.

    Others may add up in another order. On a device beside this machine the device embeds.
    """
    if DEVICES[job.case.device].remote:
        return ()
    detail = " and ".join(sorted(cpus))
    return (Check("one kind of processor embedded all images", len(cpus) == 1, detail),)


def provenance(deployment: Deployment, prepared: Prepared[FaceSet]) -> dict[str, Any]:
    """Return where a score came from, beyond its case."""
    facts = deployment.exported.facts()
    half = deployment.runtime.scores_anywhere(deployment.job.case.precision)
    return {
        **({"fp16": "the bits of ARMv8.2-A's half precision"} if half else {}),
        "preprocessing": facts["preprocessing"],
        "artifact_sha256": deployment.digest,
        "faces_sha256": prepared.faces.digest,
        "images": asdict(census(prepared.faces)),
    }


def depends_on(job: Job) -> Any:
    """Return what a score depends on beyond network and case, for its fingerprint."""
    if not dataset(job).label and not job.network.trained:
        return "refused"
    return (
        deployments.faces_digest(job.dataset or job.case.dataset, job.data),
        deployments.depends_on(job),
    )


def _no_duplicates(faces: FaceSet) -> Check:
    first: dict[bytes, str] = {}
    twice = [
        (first[image], key)
        for key, image in faces.image_digests.items()
        if first.setdefault(image, key) != key
    ]
    detail = f"{len(faces.keys)} images"
    if twice:
        detail = f"{len(twice)} are copies: {twice[0][1]} is {twice[0][0]}"
    return Check("no image occurs twice", not twice, detail)


def _no_one_twice(faces: PairSet) -> Check:
    folds: dict[str, set[int]] = {}
    for pair in faces.pairs:
        for key in (pair.first, pair.second):
            folds.setdefault(faces.identities[key], set()).add(pair.fold)
    shared = [name for name, where in folds.items() if len(where) > 1]
    detail = f"{len(folds)} people"
    if shared:
        detail = (
            f"{len(shared)} of {len(folds)} people are in several folds, such as {shared[0]}, so "
            "that thresholds are set on people they are tested on"
        )
    return Check("nobody is in two folds", not shared, detail)

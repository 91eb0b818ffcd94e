"""Searches for probes among distractors (1:N identification) with what a runtime executes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from facebench.harness.measures import scoring
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, Sharding, register
from facebench.harness.records.accuracy import Identification
from facebench.harness.records.comparable import Decided
from facebench.harness.records.record import Record
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.progress import Progress
from facebench.harness.verification.embedding import (
    Embedder,
    Embeddings,
    Extraction,
    blocks_of,
    extract,
    extract_blocks,
)
from facebench.harness.verification.faces import SearchSet
from facebench.harness.verification.identification import (
    Search,
    identification,
    join,
    load,
    save,
    search,
)

_KIND = "search"


def _obtain(job: Job) -> Outcome:
    scoring.require_trained(job)
    prepared = scoring.prepare(job)
    faces = prepared.faces
    assert isinstance(faces, SearchSet)
    deployment = deploy(job, timed=False)
    embedder, agreed = scoring.embedder(job, deployment)
    # It takes a while, for which processes that time need not wait.
    from facebench.harness.verification.search_intervals import search_bounds

    work = _Work(job, faces, embedder)
    found = join(work.searched(shard) for shard in range(work.shards))
    result = identification(
        found,
        label=faces.label,
        flip=job.case.flip,
        images_per_second=len(faces.keys) / work.seconds,
        not_found=prepared.not_found,
        bounds=search_bounds(found),
    )
    return Outcome(
        result,
        (*agreed, *scoring.faces_checks(faces), *scoring.machine_checks(job, work.cpus)),
        scoring.provenance(deployment, prepared),
    )


def _prepare(job: Job) -> None:
    scoring.require_trained(job)
    faces = scoring.prepare(job).faces
    assert isinstance(faces, SearchSet)
    assert job.shard is not None
    embedder, _ = scoring.embedder(job, deploy(job, timed=False))
    work = _Work(job, faces, embedder)
    if job.shard < work.shards:
        work.searched(job.shard)


def _shards(job: Job) -> int:
    faces = scoring.dataset(job).open(job.data)
    assert isinstance(faces, SearchSet)
    return blocks_of(len(faces.distractors))


@dataclass
class _Work:
    """A search in shards, each in the cache once it is done; and what embedding took.

    Of n shards, each has every n-th block of distractors, and all probes.
    """

    job: Job
    faces: SearchSet
    embedder: Embedder

    def __post_init__(self) -> None:
        # Where faces were not found, there may be fewer blocks than was thought.
        self.shards = min(self.job.shards, blocks_of(len(self.faces.distractors)))
        self._embedded: dict[int, tuple[float, frozenset[str]]] = {}
        self.done = 0

    @property
    def seconds(self) -> float:
        """Return what embedding took, as if one process had done all of it."""
        return self._probes.seconds + sum(seconds for seconds, _ in self._embedded.values())

    @property
    def cpus(self) -> frozenset[str]:
        """Return the kinds of processor that embedded."""
        return self._probes.cpus.union(*(cpus for _, cpus in self._embedded.values()))

    def searched(self, shard: int) -> Search:
        """Return the search among one shard's distractors, made now or found."""
        folder = cache.entry(_KIND, self._key(shard), lambda folder: self._search(shard, folder))
        facts = json.loads((folder / "embedding.json").read_text())
        self._embedded[shard] = facts["seconds"], frozenset(facts["cpus"])
        return load(folder)

    @cached_property
    def _probes(self) -> Extraction:
        return extract(
            self.faces, self.faces.probes, self.embedder, self.job.case.flip, self._progress()
        )

    @cached_property
    def _people(self) -> list[int]:
        names = [self.faces.identities[key] for key in self.faces.probes]
        people: list[int] = np.unique(names, return_inverse=True)[1].tolist()
        return people

    def _search(self, shard: int, folder: Path) -> None:
        blocks: list[tuple[float, frozenset[str]]] = []
        probes = self._probes.embeddings
        save(search(probes, self._people, self._distractors(shard, blocks)), folder)
        facts = {
            "seconds": sum(seconds for seconds, _ in blocks),
            "cpus": sorted(frozenset().union(*(cpus for _, cpus in blocks))),
        }
        (folder / "embedding.json").write_text(json.dumps(facts))

    def _distractors(
        self, shard: int, blocks: list[tuple[float, frozenset[str]]]
    ) -> Iterator[Embeddings]:
        for block in extract_blocks(
            self.faces,
            self.faces.distractors,
            self.embedder,
            self.job.case.flip,
            self._progress(),
            shard,
            self.shards,
        ):
            blocks.append((block.seconds, block.cpus))
            yield block.embeddings

    def _key(self, shard: int) -> str:
        return cache.digest(
            self.embedder.key,
            asdict(self.embedder.preprocessing),
            self.embedder.batch,
            len(self.embedder.streams),
            self.job.case.flip,
            self.faces.digest,
            shard,
            self.shards,
            fingerprints.code(__name__),
        )

    def _progress(self) -> Progress:
        return _Embedded(self, self.done)


@dataclass(frozen=True)
class _Embedded(Progress):
    """Tells the job how many images are embedded, those of before included."""

    work: _Work
    before: int

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        self.work.done = self.before + int(done)
        self.work.job.progress.at(self.work.done, len(self.work.faces.keys))


def _summary(record: Record, result: Identification) -> str:
    label = f" ({result.label})" if result.label else ""
    return f"rank 1 {result.rank1:.2%} of {result.mated_searches:,}{label}"


def _comparable(result: Identification) -> list[Decided]:
    return [Decided("rank 1", result.rank1, result.mated_searches)]


register(
    Measure(
        name="identification",
        about="share of probes that are found among distractors, 1:N",
        result=Identification,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=scoring.depends_on,
        stage=3,
        exclusive=True,
        sharding=Sharding(_shards, _prepare),
        per=Per.DATASET,
        reports=(
            "rank 1, TPIR at FPIR 0.1, 0.01 and 0.001 and TAR at FAR down to 1e-6 as far "
            "as probes and distractors support it. An image without a face is left out"
        ),
    )
)

"""Simulated truth for what is said of records: the entries of `truth.py` for it.

Times are drawn as in `truth_time`: a job is worth a factor of its own, each process a further
one, and a sample varies by 2 % about its process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simulated
from truth_rows import Plan, Row, held

from facebench.harness.comparison.denormals_effect import effect
from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.records.accuracy import Accuracy, Bounded
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.stats.drift import LEVEL as DRIFT_LEVEL
from facebench.harness.stats.drift import drift
from facebench.harness.stats.intervals import two_level_interval
from facebench.harness.stats.modes import LEVEL as MODES_LEVEL
from facebench.harness.stats.modes import modes
from facebench.harness.training.training_run import seed_mean
from facebench.harness.verification.protocol import verify
from facebench.reports.claims import UNDECIDED
from facebench.reports.claims.papers import load
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.tables import latency_rows
from facebench.reports.time_ratios import fastest, time_ratio

SAMPLES, SAMPLE_SPREAD = 16, 0.02
TRUE_MS, RIVAL = 5.0, "mobilenet_v2"
SEEDS = 2

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """How times are taken.

    Attributes:
        processes: of each case.
        apart: standard deviation between them, relative.
        jobs: standard deviation between jobs, relative; 0 where all cases are of one.
        hours: of history, whose spread is drawn; 0 where there is none.
    """

    processes: int
    apart: float = 0.005
    jobs: float = 0.0
    hours: int = 0

    def __str__(self) -> str:
        """Say it in words."""
        each = f"{self.processes} process{'es' * (self.processes > 1)} {self.apart:.1%} apart"
        if not self.jobs:
            return f"one run, {each}"
        history = f", {self.hours} hours of history" * bool(self.hours)
        return f"two runs {self.jobs:.1%} apart{history}, {each}"

    def record(
        self, draw: np.random.Generator, factor: float, run: str = "one", **case: str
    ) -> Record:
        """Return the time of a case that truly takes `factor` times as long as another."""
        job = self.jobs * draw.normal()
        process = self.apart * draw.normal(size=(self.processes, 1))
        noise = SAMPLE_SPREAD * draw.normal(size=(self.processes, SAMPLES))
        times = TRUE_MS * factor * np.exp(job + process + noise)
        counts = (SAMPLES,) * self.processes
        result = Latency(tuple(times.ravel().tolist()), (), 1.0, 0.0, processes=counts)
        told: dict[str, object] = {"run": run if self.jobs else "one"}
        if self.hours:
            seen = draw.chisquare(self.hours - 1) / (self.hours - 1)
            told["long_run"] = {"spread": float(self.jobs * np.sqrt(seen)), "hours": self.hours}
        network = case.pop("network", BASELINE)
        known = {"runtime": "ncnn", **case}
        return Record(Case("latency", network, **known), "measured", "ok", result, provenance=told)  # type: ignore[arg-type]


def of_ratio(plan: Plan) -> Iterator[Row]:
    """The ratio of two networks' times, of one run and of two."""
    for timing in (
        Timing(4),
        Timing(1, 0.03),
        Timing(4, jobs=0.03),
        Timing(4, jobs=0.03, hours=8),
    ):
        found = []
        for draw in plan.draws():
            one = timing.record(draw, 2.0, "a", network=RIVAL)
            made = time_ratio(one, timing.record(draw, 1.0, "b"))
            found.append(("ratio", Bounded(made.value, (made.low, made.high)), 2.0))
        yield from held("ratio of times", str(timing), found)


def of_fastest(plan: Plan) -> Iterator[Row]:
    """Runtimes that take equally long, or one of which is faster by 5 %."""
    for count, gain in ((2, 0.0), (5, 0.0), (5, 0.05)):
        for timing in (Timing(4), Timing(1, 0.03)):
            hits = []
            for draw in plan.draws():
                factors = [1 - gain, *[1.0] * (count - 1)]
                records = [
                    timing.record(draw, factor, runtime=f"r{number}")
                    for number, factor in enumerate(factors)
                ]
                best = fastest(latency_rows(records))
                hits.append(best is not None and (not gain or best.record is records[0]))
            what = f", one {gain:.0%} faster" if gain else " that are equal"
            figure = "power" if gain else "level"
            cell = f"{count} runtimes{what}, {timing}"
            yield Row("fastest", cell, figure, len(hits), 0.0, float(np.mean(hits)))


def of_flushing(plan: Plan) -> Iterator[Row]:
    """A network whose time flushing does not change, and one that it makes 10 % faster."""
    name = "gain of flushing"
    for timing in (Timing(2), Timing(5), Timing(5, jobs=0.03), Timing(5, jobs=0.03, hours=8)):
        for gain in (0.0, 0.1):
            made = [
                effect(
                    timing.record(draw, 1 + gain, "a", denormals=KEPT),
                    timing.record(draw, 1.0, "b", denormals=FLUSHED),
                )
                for draw in plan.draws()
            ]
            cell = f"{timing}, {gain:.0%}"
            if gain:
                found = float(np.mean([one.faster for one in made]))
                yield Row(name, cell, "power", len(made), 0.0, found)
            else:
                bounded = (("gain", Bounded(one.speedup, one.interval), 1.0) for one in made)
                yield from held(name, cell, bounded)


def of_places(plan: Plan) -> Iterator[Row]:
    """Claims that are true of nothing, in one place and in many: any verdict is false."""
    for count in (1, 4, 12):
        for timing in (Timing(3), Timing(6), Timing(3, jobs=0.03, hours=30)):
            hits = []
            for draw in plan.draws():
                records = [
                    timing.record(draw, factor, network, network=network, runtime=f"r{place}")
                    for place in range(count)
                    for network, factor in ((RIVAL, 2.0), (BASELINE, 1.0))
                ]
                hits.append(_decided("speed-up", records))
            cell = f"just twice as fast in {count} runtime{'s' * (count > 1)}, {timing}"
            yield _level(cell, hits)
    pairs = plan.graphs["40 x 10"]
    hits = [_decided("gdconv", _bases(pairs, draw)) for draw in plan.draws()]
    yield _level(
        f"GDConv in {len(load()['gdconv'].named) // 2} bases, {SEEDS} seeds each, 40 x 10", hits
    )


def _level(cell: str, hits: Sequence[bool]) -> Row:
    return Row("claim in several places", cell, "level", len(hits), 0.0, float(np.mean(hits)))


def _decided(claim: str, records: Sequence[Record]) -> bool:
    found = load()[claim].judge(Evidence(records))
    return any(one.verdict != UNDECIDED for one in found)


def _bases(pairs: simulated.Pairs, draw: np.random.Generator) -> list[Record]:
    """Networks that are equal but for their seeds."""
    names = [(name, seed) for name in load()["gdconv"].named for seed in range(SEEDS)]
    primes = simulated.DIFFICULTIES["middling"] + 0.1 * draw.standard_normal(len(names))
    scores = simulated.scores(pairs, primes.tolist(), draw)
    return [
        trained(name, seed, scored(one, pairs))
        for (name, seed), one in zip(names, scores, strict=True)
    ]


def scored(scores: simulated.Reals, pairs: simulated.Pairs) -> Accuracy:
    """What the 10-fold protocol makes of scores."""
    kept = PairScores.pack(scores, pairs.same, pairs.folds, pairs.people, "simulated")
    return verify(kept, "", "none", 1.0)


def trained(network: str, seed: int, score: Accuracy) -> Record:
    """The score of a network that was trained as the others were."""
    training = {"conditions": "alike", "seed": seed, "recipe": "r", "images": 1, "people": 1}
    case = Case(
        "accuracy", network, weights=f"sha256:{network}{seed}", runtime="torch", dataset="lfw"
    )
    return Record(case, "measured", "ok", score, provenance={"training": training})


def of_seed_mean(plan: Plan) -> Iterator[Row]:
    """The mean over seeds that differ by half a point."""
    for seeds in (2, 3, 5):
        found = []
        for draw in plan.draws():
            values = 0.95 + 0.005 * draw.normal(size=seeds)
            mean, reach = seed_mean(values.tolist())
            found.append(("mean", Bounded(mean, (mean - reach, mean + reach)), 0.95))
        yield from held("mean over seeds", f"{seeds} seeds", found)


def of_drift(plan: Plan) -> Iterator[Row]:
    """Three processes whose samples follow each other, and ones that grow by 5 %."""
    for after, growth in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.05)):
        hits = []
        for draw in plan.draws():
            noise = draw.normal(size=(3, 64))
            for i in range(1, 64):
                noise[:, i] = after * noise[:, i - 1] + np.sqrt(1 - after**2) * noise[:, i]
            times = TRUE_MS * np.exp(SAMPLE_SPREAD * noise + growth * np.linspace(0, 1, 64))
            low, high = two_level_interval(times.tolist())
            hits.append(drift(times.tolist()).matters((high - low) / TRUE_MS))
        figure = "power" if growth else "level"
        cell = f"3 x 64 samples, correlation {after:g}" + f", growing by {growth:.0%}" * (
            growth > 0
        )
        share = float(np.mean(hits))
        yield Row("drift", cell, figure, len(hits), 0.0, share, promised=DRIFT_LEVEL)


def of_modes(plan: Plan) -> Iterator[Row]:
    """Times of one mode, skewed or not, and times that switch between two."""
    for count, shape in ((64, "normal"), (400, "normal"), (400, "skewed"), (400, "two")):
        hits = []
        for draw in plan.draws():
            noise = draw.gamma(2.0, size=count) if shape == "skewed" else draw.normal(size=count)
            times = TRUE_MS * np.exp(0.05 * noise)
            if shape == "two":
                times[: count // 2] *= 1.3
            hits.append(modes(times, count).two)
        figure = "power" if shape == "two" else "level"
        cell = f"{count} samples, {shape}" + " modes" * (shape == "two")
        share = float(np.mean(hits))
        yield Row("two modes", cell, figure, len(hits), 0.0, share, promised=MODES_LEVEL)


ENTRIES: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "ratio of times": of_ratio,
    "fastest": of_fastest,
    "gain of flushing": of_flushing,
    "claim in several places": of_places,
    "mean over seeds": of_seed_mean,
    "drift": of_drift,
    "two modes": of_modes,
}

"""How often intervals hold and verdicts err, where the truth is known.

    python benchmarks/truth.py [--trials 1000] [--only "paired comparison"] [--write docs/truth.md]
    python benchmarks/truth.py --short

Each procedure that is registered in `facebench.harness.stats.procedures` has an entry in
ENTRIES, which draws scores by `simulated`, written from the definitions and apart from what is
under test. A row says of one figure in one cell how often its 95 % interval held the truth, and
how often it lay above or below; or how often equal networks were told apart (level), and
different ones rightly (power). The exit code is 1 where a row fails.

`--short` takes few trials of a few cells and fails only on what chance does not explain.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import simulated
import truth_reports
import truth_time
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import norm
from truth_reports import scored, trained
from truth_rows import LEVEL, SEED, Found, Plan, Row, held

from facebench.harness.records.accuracy import Bounded
from facebench.harness.records.comparable import Decisions
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification import identification, intervals
from facebench.harness.verification.folds import decided
from facebench.harness.verification.gallery_search import GallerySearch, search_rates
from facebench.harness.verification.groups import widest_gap
from facebench.harness.verification.metrics import tar_at_far
from facebench.harness.verification.paired import PairedComparison, compare
from facebench.harness.verification.search_intervals import search_bounds
from facebench.reports.claims import REFUTED, SUPPORTED
from facebench.reports.claims.papers import load
from facebench.reports.evidence import BASELINE, Evidence

ARCHIVE = "lfw-deepfunneled-view2.tar"
# Marks the part of docs/truth.md that --write makes anew.
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"

# d' in searches, which are harder than pairs.
SEARCHES = {"easy": 6.5, "middling": 5.2, "hard": 4.0}
# Points by which one network is truly better where power is asked for.
BETTER = 0.8


def packed(scores: simulated.Reals, pairs: simulated.Pairs, people: np.ndarray) -> PairScores:
    """Scores as a record holds them."""
    return PairScores.pack(scores, pairs.same, pairs.folds, people, "simulated")


def of_accuracy(plan: Plan) -> Iterator[Row]:
    """Accuracy by the protocol: the truth is what it gives on average."""
    for cell, pairs, prime in plan.cells():
        drawn = (simulated.scores(pairs, [prime], rng)[0] for rng in plan.draws())
        found = (intervals.accuracy(scored(one, pairs)) for one in drawn)
        yield from held("accuracy", cell, (("accuracy", one, None) for one in found if one))


def of_separation(plan: Plan) -> Iterator[Row]:
    """AUC and EER."""
    for procedure, figure in (("auc", "AUC"), ("eer", "EER")):
        for cell, pairs, prime in plan.cells():
            truth = simulated.truth(prime, [])[figure]
            found = (
                (figure, getattr(intervals, procedure)(packed(one[0], pairs, pairs.people)), truth)
                for one in (simulated.scores(pairs, [prime], rng) for rng in plan.draws())
            )
            yield from held(procedure, cell, found)


def of_tar(plan: Plan) -> Iterator[Row]:
    """TAR at the FARs that the pairs support."""
    for cell, pairs, prime in plan.cells():
        yield from held("tar", cell, _tars(plan, pairs, prime, pairs.people))


def _tars(plan: Plan, pairs: simulated.Pairs, prime: float, people: np.ndarray) -> Iterator[Found]:
    fars = [far for far in (1e-2, 1e-3) if far * np.sum(~pairs.same) >= 3]
    truths = simulated.truth(prime, fars)
    for rng in plan.draws():
        one = packed(simulated.scores(pairs, [prime], rng)[0], pairs, people)
        for far in fars:
            name = f"TAR at {far:g}"
            yield name, intervals.tar(one, tar_at_far(one.scores, one.same, far)), truths[name]


def of_recovered(plan: Plan) -> Iterator[Row]:
    """Where nobody is named: groups of images that genuine pairs join."""
    for cell, pairs, prime in plan.cells():
        edges = pairs.images[pairs.same].T
        count = int(pairs.images.max()) + 1
        graph = coo_array((np.ones(edges.shape[1]), edges), (count, count))
        _, group = connected_components(graph, directed=False)
        truth = simulated.truth(prime, [])
        found = (
            (name, procedure(one), truth[name])
            for one in (
                replace(
                    packed(simulated.scores(pairs, [prime], rng)[0], pairs, group[pairs.images]),
                    recovered=True,
                )
                for rng in plan.draws()
            )
            for name, procedure in (("AUC", intervals.auc), ("EER", intervals.eer))
        )
        yield from held("recovered people", cell, found)


def of_comparison(plan: Plan) -> Iterator[Row]:
    """Two networks on the same pairs, equal and not."""
    name = "paired comparison"
    for cell, pairs, prime in plan.cells():
        equal, better = [], []
        other = simulated.better_by(prime, BETTER) if simulated.can_gain(prime, BETTER) else None
        for rng in plan.draws():
            equal.append(_compared(pairs, (prime, prime), rng))
            if other is not None:
                better.append(_compared(pairs, (prime, other), rng))
        wide = [Bounded(one.difference, None if one.refused else one.interval) for one in equal]
        yield from held(name, cell, (("difference", one, 0.0) for one in wide))
        given = [one for one in equal if not one.refused]
        share = 1 - len(given) / len(equal)
        rejected = float(np.mean([one.p_value < LEVEL for one in given]))
        yield Row(name, cell, "level", len(given), share, rejected)
        if better:
            right = [one.p_value < LEVEL and one.difference > 0 for one in better]
            yield Row(name, cell, "power", len(right), 0.0, float(np.mean(right)))


def _compared(
    pairs: simulated.Pairs, primes: Sequence[float], rng: np.random.Generator
) -> PairedComparison:
    found = [decided(scored(one, pairs)) for one in simulated.scores(pairs, primes, rng)]
    first, second = (one for one in found if isinstance(one, Decisions))
    return compare(first, second, pairs.people)


def of_search(plan: Plan) -> Iterator[Row]:
    """Searches; the truth of rank 1 and TPIR is the mean of many."""
    for people, images in ((80, 12), (40, 10), (300, 5)):
        for difficulty in plan.difficulties:
            prime = SEARCHES[difficulty]
            found = [
                one
                for rng in plan.draws()
                for one in _searched(simulated.search(people, images, 1000, prime, rng), prime)
            ]
            yield from held("search", f"{people} people x {images}, {difficulty}", found)


def _searched(drawn: simulated.Searched, prime: float) -> Iterator[Found]:
    count, distractors = drawn.impostor.shape
    ranks = identification.RANKS
    whose = np.argpartition(drawn.impostor, -ranks, axis=1)[:, -ranks:]
    scores = np.take_along_axis(drawn.impostor, whose, axis=1)
    order = np.argsort(-scores, axis=1)
    kept = count * distractors // 100
    highest = np.partition(drawn.impostor.ravel(), -kept)[-kept:]
    found = identification.Search(
        identities=len(np.unique(drawn.people)),
        distractors=distractors,
        pairs=drawn.pairs,
        genuine=drawn.genuine.astype(np.float32),
        top=np.take_along_axis(scores, order, axis=1).astype(np.float32),
        whose=np.take_along_axis(whose, order, axis=1),
        impostors=-np.sort(-highest).astype(np.float32),
        seconds=1.0,
    )
    made = search_bounds(found)
    yield "rank 1", made.rank1, None
    for point, one in zip(found.tpir, made.tpir, strict=True):
        yield f"TPIR at {point.rate:g}", one, None
    for point, one in zip(found.tar, made.tar, strict=True):
        truth = simulated.truth(prime, [point.rate])[f"TAR at {point.rate:g}"]
        yield f"TAR at {point.rate:g}", one, truth


def of_galleries(plan: Plan) -> Iterator[Row]:
    """Searches in galleries; the truth is the mean of many."""
    for people, images in ((400, 6), (100, 12)):
        for difficulty in plan.difficulties:
            prime = SEARCHES[difficulty]
            found = [
                one
                for rng in plan.draws()
                for one in _in_galleries(simulated.search(people, images, 300, prime, rng))
            ]
            yield from held("gallery search", f"{people} people x {images}, {difficulty}", found)


def _in_galleries(drawn: simulated.Searched) -> Iterator[Found]:
    """Search in two galleries: each half of the people is in one, by an image, with others.

    The others are the same in all trials, since intervals take galleries as they are.
    """
    crowd = np.random.default_rng(SEED).standard_normal(drawn.impostor.shape[1])
    crowd *= np.sqrt(simulated.STRANGER + simulated.IMAGE)
    impostor = drawn.impostor - drawn.impostor.mean(axis=0) + crowd
    first = np.unique(drawn.people, return_index=True)[1]
    # Of each person the first image is in a gallery; the others, with their scores, are probes.
    own = np.isin(drawn.pairs[:, 0], first)
    probe, mate = drawn.pairs[own, 1], drawn.genuine[own].astype(np.float32)
    person = drawn.people[probe]
    half = person % 2 == 0
    galleries = []
    for inside, others in ((half, impostor[:, ::2]), (~half, impostor[:, 1::2])):
        scores = others[probe].astype(np.float32)
        galleries.append(
            GallerySearch(
                mate[inside],
                np.count_nonzero(scores[inside] >= mate[inside, None], axis=1),
                person[inside],
                scores[~inside].max(axis=1),
                person[~inside],
            )
        )
    made = search_rates(galleries)
    yield "rank 1", made.found[0], None
    for fpir, one in zip(made.fpirs, made.fnir, strict=True):
        yield f"FNIR at {fpir:g}", one, None


def of_fixed(plan: Plan) -> Iterator[Row]:
    """A threshold that was set elsewhere: where impostors' scores are normal, FAR is exact."""
    for cell, pairs, prime in plan.cells():
        found: list[Found] = []
        for far in (0.1, 0.01):
            threshold = float(norm.isf(far))
            frr = float(norm.cdf(threshold - prime))
            for rng in plan.draws():
                one = packed(simulated.scores(pairs, [prime], rng)[0], pairs, pairs.people)
                made = intervals.rates_at(one, threshold)
                found += [
                    (f"FAR of {far:g}", made.far, far),
                    (f"FRR there, {far:g}", made.frr, frr),
                ]
        yield from held("fixed threshold", cell, found)


def of_gap(plan: Plan) -> Iterator[Row]:
    """The widest gap among four groups, of which all are equal, or one is worse than the others."""
    for cell, pairs, prime in plan.cells():
        for name, primes in (("equal", [prime] * 4), ("one worse", [prime] * 3 + [prime - 0.2])):
            truths = [simulated.truth(one, [])["accuracy"] for one in primes]
            found: list[Found] = []
            for rng in plan.draws():
                parts = {
                    str(number): scored(simulated.scores(pairs, [one], rng)[0], pairs)
                    for number, one in enumerate(primes)
                }
                gap = widest_gap(parts)
                truth = truths[int(gap.best)] - truths[int(gap.worst)]
                found.append((f"gap, {name}", gap.difference, truth))
            yield from held("widest gap", cell, found)


def of_seeds(plan: Plan) -> Iterator[Row]:
    """A claim over seeds: networks of either name differ from seed to seed, and not else."""
    name, pairs = "seeds", plan.graphs["LFW"]
    for seeds, spread in ((2, 0.0), (2, 0.1), (3, 0.1)):
        verdicts = []
        for rng in plan.draws():
            primes = simulated.DIFFICULTIES["middling"] + spread * rng.standard_normal(2 * seeds)
            drawn = simulated.scores(pairs, primes.tolist(), rng)
            records = [
                trained(network, seed, scored(one, pairs))
                for one, (network, seed) in zip(
                    drawn,
                    [(n, s) for n in (BASELINE, "mobilenet_v2") for s in range(seeds)],
                    strict=True,
                )
            ]
            (finding,) = load()["accuracy-v2"].judge(Evidence(records))
            verdicts.append(finding.verdict in (SUPPORTED, REFUTED))
        cell = f"LFW, middling, {seeds} seeds, d' {spread:g} apart"
        yield Row(name, cell, "level", len(verdicts), 0.0, float(np.mean(verdicts)))


# What each registered procedure is held by.
ENTRIES: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "accuracy": of_accuracy,
    "auc": of_separation,
    "eer": of_separation,
    "tar": of_tar,
    "recovered people": of_recovered,
    "paired comparison": of_comparison,
    "search": of_search,
    "gallery search": of_galleries,
    "fixed threshold": of_fixed,
    "widest gap": of_gap,
    "seeds": of_seeds,
    **truth_time.ENTRIES,
    **truth_reports.ENTRIES,
}


def table(rows: Sequence[Row]) -> str:
    """Markdown, a table for each procedure."""
    parts = []
    for name in dict.fromkeys(row.procedure for row in rows):
        parts.append(f"### {name}\n")
        parts.append(
            "| cell | figure | trials | refused | held, or verdicts | above | below | width |\n"
            "|---|---|---|---|---|---|---|---|"
        )
        parts += [_line(row) for row in rows if row.procedure == name]
        parts.append("")
    return "\n".join(parts)


def _line(row: Row) -> str:
    verdict = row.figure in ("level", "power")
    ends = ["", "", ""] if verdict else [f"{row.above:.1%}", f"{row.below:.1%}", f"{row.width:.2f}"]
    mark = " **fails**" if row.failed else ""
    cells = [row.cell, row.figure, str(row.trials), f"{row.refused:.0%}", f"{row.hits:.1%}{mark}"]
    return f"| {' | '.join([*cells, *ends])} |"


def run(plan: Plan, only: str = "") -> list[Row]:
    """All rows, each entry once."""
    chosen = [entry for name, entry in ENTRIES.items() if only in ("", name)]
    rows = []
    for entry in dict.fromkeys(chosen):
        for row in entry(plan):
            print(_line(row), row.procedure, file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def write(path: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    page = path.read_text()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main() -> None:
    """Run as told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", default="", choices=["", *ENTRIES])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    data = os.environ.get("FACEBENCH_DATA")
    graphs = simulated.graphs(Path(data) / ARCHIVE if data else None)
    if asked.short:
        kept = {name: graphs[name] for name in ("LFW", "40 x 10")}
        plan = Plan(60, kept, ("middling",))
    else:
        plan = Plan(asked.trials, graphs, tuple(simulated.DIFFICULTIES))
    rows = run(plan, asked.only)
    text = f"{plan.trials} trials a cell, seed {SEED}.\n\n{table(rows)}"
    print(text)
    if asked.write:
        write(asked.write, text)
    if failed := [row for row in rows if row.failed]:
        sys.exit(f"{len(failed)} of {len(rows)} rows fail")


if __name__ == "__main__":
    main()

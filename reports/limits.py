"""Computes how near each time comes to what its cores could do at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from facebench.harness.machine.boards import BOARDS, described
from facebench.harness.machine.cores import CORES
from facebench.harness.machine.facts import MACHINE
from facebench.harness.records.cost import Cost
from facebench.harness.records.instructions import Cycles
from facebench.harness.records.latency import Latency
from facebench.harness.records.peak import NO_PEAK, Peak
from facebench.harness.records.record import Record
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from facebench.reports.tables import Setting, of_measure

# The peak, and the bytes of a network, are those of this precision.
PRECISION = "fp32"

CONVENTION = "conv+linear"


@dataclass(frozen=True)
class Roof:
    """A roof bounds the rate of multiply-adds at one place with one number of threads.

    Attributes:
        place: the machine, or the emulated core.
        kind: `measured`, or `published` for an emulated core.
        multiply_adds_per_s: of fp32, by all threads together.
        memory_bytes_per_s: to or from memory, by all threads together.
        cache_bytes_per_s: from the second level of cache; 0 where it is not known.
        peaks: the measurements that these rates are the fastest of.
        board: that the figures of a core are of; empty for a machine.
        sources: where published figures come from that are no publication's.
    """

    place: str
    threads: int
    kind: str
    multiply_adds_per_s: float
    memory_bytes_per_s: float
    cache_bytes_per_s: float = 0.0
    peaks: tuple[Peak, ...] = ()
    board: str = ""
    sources: tuple[str, ...] = ()

    @property
    def threads_text(self) -> str:
        """Return the thread count in words."""
        return f"{self.threads} thread{'s' if self.threads != 1 else ''}"

    @property
    def ridge(self) -> float:
        """Return the multiply-adds a byte from which on arithmetic is the bound, not memory."""
        return self.multiply_adds_per_s / self.memory_bytes_per_s

    @property
    def cache_ridge(self) -> float:
        """Return that ridge for bytes from the second level of cache; 0 where it is not known."""
        known = self.cache_bytes_per_s
        return self.multiply_adds_per_s / known if known else 0.0

    def rate(self, intensity: float) -> float:
        """Return multiply-adds a second that are possible with so many of them a byte."""
        return min(self.multiply_adds_per_s, intensity * self.memory_bytes_per_s)


@dataclass(frozen=True)
class Limit:
    """It is one time beside its roof.

    Attributes:
        label: how the code came about, as in `Latency`.
        time_ms: of one inference of a whole batch; without spread where none is known.
        madds: of a whole batch, by the convention `conv+linear`.
        bytes: that a whole batch moves, see `moved_bytes`.
        roof: None where it is not known, for `reason`.
    """

    network: str
    setting: Setting
    label: str
    time_ms: Estimate
    madds: int
    bytes: int
    roof: Roof | None
    reason: str
    record: Record

    @property
    def untuned(self) -> bool:
        """Say whether the code was never tuned."""
        return "untuned" in self.label

    @property
    def intensity(self) -> float:
        """Return the multiply-adds a byte."""
        return self.madds / self.bytes

    @property
    def rate(self) -> Estimate:
        """Return the multiply-adds a second."""
        return _over(self.madds * 1e3, self.time_ms)

    @property
    def share_of_peak(self) -> Estimate | None:
        """Return the rate as a share of the roof's flat part, 0 to 1."""
        if self.roof is None:
            return None
        return _over(self.madds / self.roof.multiply_adds_per_s * 1e3, self.time_ms)

    @property
    def bound_ms(self) -> float | None:
        """Return the milliseconds that the roof leaves at least."""
        return self.madds / self.roof.rate(self.intensity) * 1e3 if self.roof else None

    @property
    def share_of_roof(self) -> Estimate | None:
        """Return the bound over the time, 0 to 1."""
        return None if self.bound_ms is None else _over(self.bound_ms, self.time_ms)


# Section and figure of one report both ask for the same.
@lru_cache(maxsize=1)
def limits(evidence: Evidence) -> tuple[Limit, ...]:
    """Return every time in fp32 of a counted network: networks as in the evidence, measured
    first.
    """
    roofs = _measured_roofs(evidence.records)
    order = {network: index for index, network in enumerate(evidence.networks)}
    timed = [row.record for row in evidence.latencies] + of_measure(evidence.records, "cycles")
    found = [
        _limit(record, evidence.costs[record.case.network], roofs)
        for record in timed
        if record.result is not None
        and record.case.network in evidence.costs
        and record.case.precision == PRECISION
    ]
    return tuple(sorted(found, key=lambda one: order[one.network]))


def left_out(evidence: Evidence) -> list[Record]:
    """Return times of networks that were not counted, or in a precision that the peak is not of."""
    shown = {id(one.record) for one in limits(evidence)}
    timed = [r for m in ("latency", "cycles") for r in of_measure(evidence.records, m)]
    return [record for record in timed if record.status == "ok" and id(record) not in shown]


def roofs_of(found: Iterable[Limit]) -> list[Roof]:
    """Return the roofs of some times, each once, measured ones first."""
    distinct = dict.fromkeys(one.roof for one in found if one.roof is not None)
    return sorted(distinct, key=lambda roof: roof.kind != "measured")


def moved_bytes(cost: Cost, batch: int) -> int:
    """Return weights once, and what each layer reads and writes for each image."""
    return cost.weight_bytes + batch * cost.activation_bytes


# The machine that a record is of, and its threads.
_Where = tuple[object, ...]


def _where(record: Record) -> _Where:
    machine = tuple(record.environment.get(name) for name in MACHINE)
    return (*machine, record.case.device, record.case.threads)


def _measured_roofs(records: Iterable[Record]) -> dict[_Where, Roof]:
    """Return one a machine and number of threads: the fastest of all that was measured there."""
    peaks: dict[_Where, list[Peak]] = {}
    places: dict[_Where, tuple[str, int]] = {}
    for record in of_measure(records, "latency"):
        if isinstance(record.result, Latency) and record.result.peak is not None:
            where = _where(record)
            peaks.setdefault(where, []).append(record.result.peak)
            model = record.environment.get("cpu_model") or record.environment.get("machine")
            places[where] = str(model or "a machine without a name"), record.case.threads
    return {
        where: Roof(
            *places[where],
            kind="measured",
            multiply_adds_per_s=max(max(one.multiply_adds_per_s) for one in found),
            memory_bytes_per_s=max(max(one.memory_bytes_per_s) for one in found),
            cache_bytes_per_s=max(max(one.cache_bytes_per_s, default=0.0) for one in found),
            peaks=tuple(found),
        )
        for where, found in peaks.items()
    }


def _published_roof(core: str) -> Roof | None:
    """Return that of one thread on a core or a board; None where its figures are not known."""
    if core not in CORES and core not in BOARDS:
        return None
    found = described(core)
    known = found.figures
    if known is None:
        return None
    names = ("fma_lanes_per_cycle", "frequency_hz", "dram_bandwidth_bytes_s")
    sources = [f"{name} of {core} is {found.source(name)}" for name in names]
    return Roof(
        place=core,
        threads=1,
        kind="published",
        multiply_adds_per_s=known.fma_lanes_per_cycle * known.frequency_hz,
        memory_bytes_per_s=known.dram_bandwidth_bytes_s,
        board=known.board,
        sources=tuple(source for source in sources if " is assumed" in source),
    )


def _limit(record: Record, cost: Cost, roofs: dict[_Where, Roof]) -> Limit:
    case, result = record.case, record.result
    assert isinstance(result, Latency | Cycles)
    if isinstance(result, Latency):
        time_ms = Estimate(result.median_ms, *result.interval_ms)
        roof = roofs.get(_where(record))
        why = record.provenance.get(NO_PEAK) or "its record was made before peaks were measured"
    else:
        modelled = result.milliseconds[str(case.threads)]
        time_ms = Estimate(modelled, *(result.interval_ms or (modelled, modelled)))
        roof = _published_roof(case.device.partition(":")[2])
        why = f"no figures of {result.core} are known"
    return Limit(
        network=case.network,
        setting=Setting(
            case.runtime, case.target, case.device, case.precision, case.threads, case.batch,
            record.kind, case.denormals,
        ),
        label=result.label,
        time_ms=time_ms,
        madds=case.batch * cost.madds[CONVENTION],
        bytes=moved_bytes(cost, case.batch),
        roof=roof,
        reason="" if roof else str(why),
        record=record,
    )  # fmt: skip


def _over(amount: float, time: Estimate) -> Estimate:
    """Return an amount over a time: the longest time makes the lowest rate."""
    return Estimate(amount / time.value, amount / time.high, amount / time.low)

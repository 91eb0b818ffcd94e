"""What comes of a case: one class of figures a measure.

Raw samples and counts are kept; statistics are properties of them. This module
needs neither torch nor TVM.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from harness.denormals.figures import Denormals
from harness.emulation.figures import Cycles, Instructions
from harness.pairs import PairScores
from harness.timing.conditions import Conditions
from harness.timing.footprint import Footprint
from harness.timing.peak import Peak
from harness.timing.statistics import median_interval, quantile, two_level_interval


@dataclass(frozen=True)
class Export:
    """An ONNX file made from a network.

    Attributes:
        opset: version of ONNX's operators.
        size_bytes: of the file.
        output_error: largest difference from torch's outputs over random and
            extreme inputs, relative to their largest element.
    """

    opset: int
    size_bytes: int
    output_error: float


@dataclass(frozen=True)
class LayerCost:
    """Cost of one operator of the network as trained: BN and activations are layers too.

    `madds` and `activations` are counted as in `Cost`; a parameter that
    several layers share counts at the first.
    """

    name: str
    operator: str
    output_shape: tuple[int, ...]
    parameters: int
    madds: dict[str, int]
    activations: int


@dataclass(frozen=True)
class Cost:
    """Cost of one inference of one image; exact counts.

    Attributes:
        parameters: as trained, batch normalization's weight and bias included.
        parameters_bn_folded: batch normalization folded into the convolutions.
        madds: multiply-adds by convention: `conv+linear` (the paper's); `+bn`,
            two operations more for each element normalized; `+activation`, one
            more for each element of an activation function and of sums,
            differences, products and quotients of maps.
        activations: elements written by convolutions and linear layers, what
            follows them fused (arXiv 2003.13678).
        weight_bytes: read once an inference, fp32, BN folded.
        activation_bytes: read and written by all layers, fp32, BN and
            activations fused; additions, pooling, concatenation and
            transposition are layers of their own.
        peak_activation_bytes: the most held at once, fp32, in execution order,
            with the same fusion: what a layer reads, what it writes and what a
            later one needs, the image included.
        size_bytes: of the weights, BN folded, by precision (`fp32`, `fp16`, `int8`).
        input_size: height and width in pixels.
        embedding_size: elements of an embedding.
        layers: the same, layer by layer, in execution order.
    """

    parameters: int
    parameters_bn_folded: int
    madds: dict[str, int]
    activations: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    size_bytes: dict[str, int]
    input_size: tuple[int, ...]
    embedding_size: int
    layers: tuple[LayerCost, ...] = ()


@dataclass(frozen=True)
class Compilation:
    """A shared library made by TVM.

    Attributes:
        triple: LLVM's name of the target.
        elf_machine: architecture that the library's ELF header names.
        features: CPU features that the code was generated with.
        size_bytes: of the library.
        seconds: of lowering, code generation and linking.
        kernels: counts by how their schedule was found: `tuned`, `scheduled`, `plain`.
    """

    triple: str
    elf_machine: str
    features: tuple[str, ...]
    size_bytes: int
    seconds: float
    kernels: dict[str, int]


@dataclass(frozen=True)
class Process:
    """What is known of a process that gave times, beside the times.

    Attributes:
        load_ms: from the artifact on disk to a session that can infer, the import of the
            runtime's package included.
        warmups: how many of `Latency.warmup_ms` are its own.
        references: how many of `Latency.reference_us` are its own.
        settled: whether its warm-up ended because times agreed.
        fastest_us: the reference kernel's fastest on that machine; 0 where it is not known.
        throttled: how heat slowed the machine; empty where nothing shows that.
        conditions: what else ran there; None where the machine does not show it.
        grown_bytes: of its memory, from its first sample to its last; None where that is not
            known, as in records before schema 6.
        footprint: its start, memory and energy; None in records before schema 6.
    """

    load_ms: float
    warmups: int
    references: int
    settled: bool
    fastest_us: float = 0.0
    throttled: str = ""
    conditions: Conditions | None = None
    grown_bytes: int | None = None
    footprint: Footprint | None = None


@dataclass(frozen=True)
class Latency:
    """Wall time of single inferences, in milliseconds.

    Attributes:
        samples_ms: every sample after warm-up, in order.
        warmup_ms: the inferences before them, after those that the answer was checked by.
        load_ms: from the artifact on disk to a session that can infer; of several processes,
            the median.
        output_error: largest difference from torch's outputs, relative to their largest element.
        label: how the code came about where that limits what may be said of
            the time; `untuned` code is shown with that word and never ranked.
        reference_us: times of a fixed kernel before, between and after the
            samples, in microseconds; where they rise, something else slowed the machine.
        peak: what the machine reached just before with as many threads; None where it was
            not measured, as in records before schema 4.
        processes: how many of `samples_ms` each process gave, in order; empty where one
            process gave them all, as in records before schema 5.
        process_facts: of each process, in order; empty in records before schema 5.
        turns: how many of `samples_ms` each turn gave, in order, where the case took turns
            with others; as many turns in each process.
        beside: what the records of cases that took turns with each other have in common.
    """

    samples_ms: tuple[float, ...]
    warmup_ms: tuple[float, ...]
    load_ms: float
    output_error: float
    label: str = ""
    reference_us: tuple[float, ...] = ()
    peak: Peak | None = None
    processes: tuple[int, ...] = ()
    process_facts: tuple[Process, ...] = ()
    turns: tuple[int, ...] = ()
    beside: str = ""

    def __post_init__(self) -> None:
        if self.processes and (
            min(self.processes) < 1 or sum(self.processes) != len(self.samples_ms)
        ):
            raise ValueError(
                f"{len(self.samples_ms)} samples are not those of processes that gave "
                f"{', '.join(map(str, self.processes))}"
            )
        if self.turns and sum(self.turns) != len(self.samples_ms):
            raise ValueError("the samples are not those of the turns")

    @property
    def by_process(self) -> tuple[tuple[float, ...], ...]:
        """The samples of each process, in order, in milliseconds."""
        ends = tuple(accumulate(self.processes)) or (len(self.samples_ms),)
        return tuple(self.samples_ms[a:b] for a, b in pairwise((0, *ends)))

    @property
    def turn_medians_ms(self) -> tuple[tuple[float, ...], ...]:
        """Of each process, the median of each of its turns; empty where it took none."""
        ends = accumulate(self.turns, initial=0)
        medians = [float(np.median(self.samples_ms[a:b])) for a, b in pairwise(ends)]
        each = len(medians) // max(len(self.processes), 1)
        return tuple(tuple(medians[i : i + each]) for i in range(0, len(medians), each or 1))

    @property
    def median_ms(self) -> float:
        """Median of the samples."""
        return float(np.median(self.samples_ms))

    @property
    def p90_ms(self) -> float | None:
        """None with fewer than 64 samples, which do not support it."""
        return quantile(self.samples_ms, 0.9)

    @property
    def minimum_ms(self) -> float:
        """Shortest of the samples."""
        return min(self.samples_ms)

    @property
    def interval_ms(self) -> tuple[float, float]:
        """95 % interval of the median.

        Of several processes the one whose unit is the process; of one alone that of its
        samples, distribution-free, which does not know how much processes differ.
        """
        if len(self.processes) > 1:
            return two_level_interval(self.by_process)
        return median_interval(self.samples_ms)

    @property
    def relative_width(self) -> float:
        """Of the interval, as a share of the median."""
        lower, upper = self.interval_ms
        return (upper - lower) / self.median_ms

    @property
    def import_ms(self) -> float | None:
        """Of the runtime's package; like what follows, the median of the processes that tell."""
        return self._of_footprints(lambda found: found.import_ms)

    @property
    def open_ms(self) -> float | None:
        """From the artifact on disk to a session that can infer, without that import."""
        return self._of_footprints(lambda found: found.open_ms)

    @property
    def first_ms(self) -> float | None:
        """The first inference of a process."""
        return self._of_footprints(lambda found: found.first_ms)

    @property
    def peak_bytes(self) -> float | None:
        """The most that was resident of a process that infers."""
        return self._of_footprints(
            lambda found: found.memory.sampled_bytes if found.memory else None
        )

    @property
    def added_bytes(self) -> float | None:
        """The same beyond what the process had before it opened the artifact."""
        return self._of_footprints(lambda found: found.memory.added_bytes if found.memory else None)

    @property
    def joules(self) -> float | None:
        """Energy of an inference, by the counters of whole CPU packages."""
        return self._of_footprints(
            lambda found: found.energy.joules_an_inference if found.energy else None
        )

    @property
    def net_joules(self) -> float | None:
        """The same beyond what the packages took at rest."""
        return self._of_footprints(
            lambda found: found.energy.net_joules_an_inference if found.energy else None
        )

    def _of_footprints(self, figure: Callable[[Footprint], float | None]) -> float | None:
        footprints = [process.footprint for process in self.process_facts if process.footprint]
        known = [value for one in footprints if (value := figure(one)) is not None]
        return statistics.median(known) if known else None


@dataclass(frozen=True)
class Accuracy:
    """Verification accuracy by the 10-fold protocol.

    Attributes:
        fold_accuracies: share of right decisions in each fold, 0 to 1, at the
            threshold that is best on the other folds.
        fold_thresholds: these thresholds, on the cosine of the two embeddings.
        pairs: genuine and impostor pairs together.
        label: what the data set can say; empty for real faces.
        flip: how an image and its mirror were joined: `none`, `sum` or `concatenation`.
        images_per_second: from a file's bytes to an embedding, decoding,
            alignment and mirror images included, on all threads of the case.
        scores: of every pair; None in records of schema 1.
        not_found: images in which no face was found.
        excluded_pairs: pairs that were left out because of them.
    """

    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    pairs: int
    label: str
    flip: str
    images_per_second: float
    scores: PairScores | None = None
    not_found: tuple[str, ...] = ()
    excluded_pairs: int = 0

    @property
    def accuracy(self) -> float:
        """Mean of the folds, 0 to 1."""
        return float(np.mean(self.fold_accuracies))

    @property
    def fold_standard_deviation(self) -> float:
        """Spread of the folds (ddof=1), 0 to 1."""
        return float(np.std(self.fold_accuracies, ddof=1))

    @property
    def standard_error(self) -> float:
        """Of the mean: the folds' standard deviation over the root of their count."""
        return self.fold_standard_deviation / float(np.sqrt(len(self.fold_accuracies)))


@dataclass(frozen=True)
class Throughput:
    """Images embedded a second, with as many single-threaded sessions as the case has threads.

    Attributes:
        rates: images a second in successive windows of time, after warm-up.
        label: as in `Latency`.
        reference_us: as in `Latency`, before, between and after the windows; empty in
            records before schema 6.
        fastest_us: as in `Process`.
        conditions: as in `Process`.
    """

    rates: tuple[float, ...]
    label: str = ""
    reference_us: tuple[float, ...] = ()
    fastest_us: float = 0.0
    conditions: Conditions | None = None

    @property
    def images_per_second(self) -> float:
        """Median of the windows."""
        return float(np.median(self.rates))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of it, distribution-free; how processes differ is not in it."""
        return median_interval(self.rates)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and the rates of right and wrong acceptance there.

    Attributes:
        rate: the false rate that was asked for: FAR or FPIR.
        threshold: on the cosine of two embeddings.
        accepted: genuine trials that pass it, of `trials`.
        trials: genuine trials.
    """

    rate: float
    threshold: float
    accepted: int
    trials: int

    @property
    def true_rate(self) -> float:
        """TAR or TPIR: share of the genuine trials that pass, 0 to 1."""
        return self.accepted / self.trials


@dataclass(frozen=True)
class Identification:
    """Search of probes among distractors, as MegaFace does it.

    Each image of a probe's identity is put among all distractors in turn; the
    probe is found at rank k where fewer than k distractors score as high.

    Attributes:
        probes: images searched for.
        mated_searches: pairs of a probe and another image of its identity.
        distractors: images searched among.
        found_at: mated searches that succeed at rank 1, 2, ...
        tpir: at the false positive identification rates that the probes support.
        tar: at the false acceptance rates that probes and distractors support.
        identities: of the probes.
        label: what the data set can say; empty for real faces.
        flip: as in `Accuracy`.
        images_per_second: as in `Accuracy`; probes and distractors together.
        searches_per_second: probes compared with all distractors, a second.
        not_found: images in which no face was found.
    """

    probes: int
    mated_searches: int
    distractors: int
    found_at: tuple[int, ...]
    tpir: tuple[OperatingPoint, ...]
    tar: tuple[OperatingPoint, ...]
    identities: int
    label: str
    flip: str
    images_per_second: float
    searches_per_second: float
    not_found: tuple[str, ...] = ()

    @property
    def rank1(self) -> float:
        """Share of the mated searches that succeed at rank 1, 0 to 1."""
        return self.found_at[0] / self.mated_searches


Result = (
    Export
    | Cost
    | Compilation
    | Latency
    | Instructions
    | Cycles
    | Throughput
    | Accuracy
    | Identification
    | Denormals
)
RESULTS: dict[str, type[Any]] = {
    "export": Export,
    "cost": Cost,
    "compile": Compilation,
    "latency": Latency,
    "instructions": Instructions,
    "cycles": Cycles,
    "throughput": Throughput,
    "accuracy": Accuracy,
    "identification": Identification,
    "denormals": Denormals,
}

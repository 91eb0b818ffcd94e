"""Defines the result of trials: verification and search on several selections of a set's images."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from facebench.harness.records.results import Result


@dataclass(frozen=True)
class TrialScores(Result):
    """It is what trials gave, as BLUFR reports it: the mean less the standard deviation.

    Attributes:
        far: share of impostor pairs that are accepted.
        tar: share of genuine pairs that are accepted there, of each trial.
        alarm_rate: share of strangers that anybody is found for.
        found: share of known probes that are found first there, of each trial.
        genuine: pairs of one person in each trial.
        impostor: pairs of two.
        mated: probes of each trial whose person is in the gallery.
        unmated: its other probes.
        images: that trials take.
        people: in them.
        label: what the data set can say; empty for real faces.
        flip: as in `Accuracy`.
        images_per_second: as in `Accuracy`.
        not_found: images in which no face was found; trials do without them.
    """

    far: float
    tar: tuple[float, ...]
    alarm_rate: float
    found: tuple[float, ...]
    genuine: tuple[int, ...]
    impostor: tuple[int, ...]
    mated: tuple[int, ...]
    unmated: tuple[int, ...]
    images: int
    people: int
    label: str
    flip: str
    images_per_second: float
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True)
class OverTrials:
    """It is what a share is over trials.

    Attributes:
        mean: 0 to 1.
        deviation: standard deviation, of the sample.

    Example:
        >>> round(over_trials((0.5, 0.7)).reported, 3)
        0.459
    """

    mean: float
    deviation: float

    @property
    def reported(self) -> float:
        """Return the mean less the standard deviation."""
        return self.mean - self.deviation


def over_trials(shares: tuple[float, ...]) -> OverTrials:
    """Return the mean and the standard deviation of a share, 0 of a single trial's."""
    deviation = statistics.stdev(shares) if len(shares) > 1 else 0.0
    return OverTrials(statistics.fmean(shares), deviation)

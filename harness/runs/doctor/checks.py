"""The table of the doctor's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from facebench.architectures.errors import FacebenchError
from facebench.harness.runs.doctor import machine, software, storage
from facebench.harness.runs.doctor.observation import MISSING, WARNING, Observation, Place


@dataclass(frozen=True)
class DoctorCheck:
    """It is one row of the table.

    Attributes:
        group: under which its observations are shown.
        serves: what needs it, in a few words.
        look: finds out; it connects to nothing outside this machine unless it is told to.
        required: whether facebench cannot run without it.
    """

    group: str
    serves: str
    look: Callable[[Place], Iterator[Observation]]
    required: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """A diagnosis is what was seen, with the check that it comes from."""

    check: DoctorCheck
    seen: Observation

    @property
    def fatal(self) -> bool:
        """Say whether facebench cannot run for it."""
        return self.check.required and self.seen.state == MISSING


CHECKS = (
    DoctorCheck("installed", "everything", software.facebench),
    DoctorCheck("installed", "everything", software.python, required=True),
    DoctorCheck("installed", "everything", software.packages, required=True),
    DoctorCheck("installed", "figures of this runtime", software.runtimes),
    DoctorCheck("installed", "ARM figures without a board", software.emulator),
    DoctorCheck("installed", "ssh:// devices", software.ssh),
    DoctorCheck("installed", "--cluster", software.ray),
    DoctorCheck("installed", "compare git:REVISION", software.git),
    DoctorCheck("installed", "compare git:REVISION", software.installer),
    DoctorCheck("installed", "--landmarks of that name", software.detectors),
    DoctorCheck("installed", "tests of reports", software.browser),
    DoctorCheck("installed", "tests of LaTeX tables", software.latex),
    DoctorCheck("folders", "everything", storage.cache_folder, required=True),
    DoctorCheck("folders", "tune", storage.tuning_folder),
    DoctorCheck("folders", "run", storage.results_folder),
    DoctorCheck("folders", "settings", storage.variables),
    DoctorCheck("data", "--weights shipped", storage.weights),
    DoctorCheck("data", "verify on real faces", storage.data_folder),
    DoctorCheck("data", "verify on this data set", storage.datasets),
    DoctorCheck("machine", "every time", machine.processor),
    DoctorCheck("machine", "every time", machine.cores),
    DoctorCheck("machine", "every time", machine.quiet),
    DoctorCheck("machine", "instructions --device local", machine.counters),
    DoctorCheck("devices", "--device of that name", machine.devices),
)


def examine(place: Place, checks: tuple[DoctorCheck, ...] = CHECKS) -> list[Diagnosis]:
    """Return everything that the checks find, in their order.

    A check that fails with an error of its own says that, and the others go on.

    Raises:
        BadInputError: a device's name is none.
    """
    return [Diagnosis(check, seen) for check in checks for seen in _looked(check, place)]


def _looked(check: DoctorCheck, place: Place) -> list[Observation]:
    try:
        return list(check.look(place))
    except FacebenchError:
        raise
    except Exception as error:  # a broken installation may raise anything
        name = check.look.__name__.replace("_", " ")
        says = f"the check failed: {type(error).__name__}: {error}"
        return [Observation(name, WARNING, says, "report this as a bug, with the lines above it")]

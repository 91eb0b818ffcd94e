"""What is tuned for, and where its kernels are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.compiler import host, library
from facebench.harness.compiler.targets import TARGETS, Target, tuned_as
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.compiler.vectors import Vectors, vectors
from facebench.harness.machine.cores import CORES
from facebench.harness.tuning.costs import TilingCost
from facebench.harness.tuning.emulated import EmulatedCost
from facebench.harness.tuning.measured import MeasuredCost

LOCAL, EMULATED = "local", "emulated"


@dataclass(frozen=True)
class Goal:
    """It is a target to tune for.

    Attributes:
        target: with what `host` stands for.
        features: that LLVM generates code with.
        vectors: its registers.
        records: the target whose records these are; see `targets.tuned_as`.
    """

    target: Target
    features: tuple[str, ...]
    vectors: Vectors
    records: str


def goal(target: Target) -> Goal:
    """Return what a registered target stands for here.

    Raises:
        UnavailableError: LLVM does not know the CPU, or this machine is of no class that
            has records.
    """
    target = resolve(target)
    described = import_tvm().target.Target(target.options())
    features = features_of(target, described)
    name = tuned_as(target, features)
    if not name:
        known = [one.name for one in TARGETS if one.triple]
        raise UnavailableError(
            f"no tuning records are kept for this machine's CPU, {target.cpu}: only for "
            f"{', '.join(known)}"
        )
    return Goal(target, features, vectors(target.triple, features), name)


@contextmanager
def costs(wanted: Goal, device: str = "") -> Iterator[TilingCost]:
    """Return what tells the costs of a target's kernels on a device.

    Args:
        wanted: the target.
        device: where; by default this machine, or the emulated core of the target's name.

    Raises:
        RefusedError: the device does not run the target's code.
        UnavailableError: it cannot be reached, or is not set up.
    """
    target = wanted.target
    device = device or usual(target)
    kind, _, core = device.partition(":")
    if kind == EMULATED:
        runs = CORES[core].target
        if runs != target.name:
            raise RefusedError(
                f"{device} runs code for target {runs} and not for {target.name}: leave out "
                "--device, or name a board that has that core"
            )
        yield EmulatedCost(core)
        return
    if device == LOCAL:
        host.require(wanted.features, f"target {target.name}")
    with closing(MeasuredCost(device, target, wanted.vectors)) as measured:
        yield measured


def usual(target: Target) -> str:
    """Return where a target's kernels are tried unless somebody says otherwise.

    Raises:
        RefusedError: there is no such place.
    """
    if target.elf_machine == library.host_machine():
        return LOCAL
    if target.name in CORES and CORES[target.name].figures:
        return f"{EMULATED}:{target.name}"
    raise RefusedError(
        f"target {target.name} has no emulated core whose cycles are modelled: name a board "
        "with --device rpc://HOST:PORT or ssh://USER@HOST"
    )

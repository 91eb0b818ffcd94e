"""What is tuned for, and where its kernels are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.compiler import host, library, records
from facebench.harness.compiler.records import Records
from facebench.harness.compiler.targets import TARGETS, Target, tuned_as
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.compiler.vectors import (
    BYTE_FEATURES,
    HALF_FEATURE,
    byte_vectors,
    half_vectors,
    in_words,
    vectors,
)
from facebench.harness.machine.cores import CORES
from facebench.harness.tuning.costs import TilingCost
from facebench.harness.tuning.emulated import EmulatedCost
from facebench.harness.tuning.integer_kernels import IntegerKernels
from facebench.harness.tuning.kernels import SearchedKernels
from facebench.harness.tuning.measured import MeasuredCost
from facebench.harness.tuning.real_kernels import RealKernels

LOCAL, EMULATED = "local", "emulated"


@dataclass(frozen=True)
class Goal:
    """It is a target to tune for.

    Attributes:
        target: with what `host` stands for.
        features: that LLVM generates code with.
        kernels: that are searched for, of one precision.
        records: what their records are kept as; see `records.kept_as`.
    """

    target: Target
    features: tuple[str, ...]
    kernels: SearchedKernels
    records: str


def goal(target: Target, precision: str = "fp32") -> Goal:
    """Return what a registered target stands for here.

    Raises:
        RefusedError: the target does not compute in the precision.
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
    found = _kernels(target, precision, features)
    return Goal(target, features, found, records.kept_as(name, found.registers))


def alike(wanted: Goal) -> list[Records]:
    """Return the records of other targets with the same registers.

    Their kernels are the same, so that what is fast on one core is worth a trial on another.

    Raises:
        BadInputError: a file of records is damaged.
    """
    registers, found = wanted.kernels.registers, {}
    for one in TARGETS:
        if one.triple != wanted.target.triple:
            continue
        try:
            other = goal(one, registers.precision)
        except (RefusedError, UnavailableError):
            continue
        if other.kernels.registers == registers:
            found[other.records] = records.load(other.records)
    found.pop(wanted.records, None)
    return list(found.values())


def _kernels(target: Target, precision: str, features: tuple[str, ...]) -> SearchedKernels:
    needed = {"fp16": ((HALF_FEATURE,),), "int8": BYTE_FEATURES}.get(precision, ())
    if needed and not any(set(one) <= set(features) for one in needed):
        raise RefusedError(
            f"kernels in {precision} are tuned for CPUs that have {in_words(needed)}, and target "
            f"{target.name} has not: tune for another target, or in fp32"
        )
    if precision == "int8":
        return IntegerKernels(byte_vectors(features))
    registers = half_vectors if precision == "fp16" else vectors
    return RealKernels(registers(target.triple, features, target.cpu))


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
        yield EmulatedCost(core, wanted.kernels)
        return
    if device == LOCAL:
        host.require(wanted.features, f"target {target.name}")
    with closing(MeasuredCost(device, target, wanted.kernels)) as measured:
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

"""Defines the protocol of runtimes, and their registry.

A runtime is one file in this package: two functions and one registration.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.architectures.extensions import load_installed
from facebench.architectures.registry import Registry
from facebench.harness.compiler import host
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.vectors import in_words
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network
from facebench.harness.models.quantize import Quantizer
from facebench.harness.stats.arrays import FloatArray

# One inference: images (N, 3, H, W) to embeddings (N, E), both float32.
Infer = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Artifact:
    """An artifact is what a runtime executes.

    Attributes:
        path: file or folder in the cache.
        label: what limits the meaning of its time, such as `untuned`; else empty.
    """

    path: Path
    label: str = ""


@dataclass(frozen=True)
class OwnHalfPrecision:
    """It is half precision into which a runtime puts a network itself, on CPUs that have it.

    Attributes:
        feature: of a CPU, as LLVM names it, without which the runtime computes in single
            precision after all.
        prepare: makes the artifact of a network in single precision; as in `Runtime`.
        tolerance: how far its answers may be off the network's own, relative to the largest
            element.
        same_bits: whether it gives the same answers, to the last bit, on CPUs without the
            feature, where it can be scored then, and not timed.
    """

    feature: str
    prepare: Callable[[Exported, int, str], Artifact]
    tolerance: float
    same_bits: bool = False

    def targets(self) -> list[str]:
        """Return names of the targets that have it."""
        return [target.name for target in TARGETS if self.feature in target.required]


@dataclass(frozen=True)
class Runtime:
    """A runtime executes a network.

    Attributes:
        name: as it is called on the command line and in records.
        packages: distributions that must be installed; the first one's version is the runtime's.
        prepare: makes the artifact, or finds it in the cache, for a batch size and,
            where it is compiled, a target.
        open: loads an artifact to run on so many threads.
        install: the command that installs it.
        precisions: those of networks that it is given and runs on any CPU, of
            `facebench.harness.models.precision.PRECISIONS`.
        half: how it computes networks of single precision in half, where it does that itself.
        int8: how it puts networks of single precision in int8, where it does that itself.
        tflite: whether it runs a user's TFLite file as that is, in whatever precision.
        flushing: how a program of one's own has it flush denormal numbers. Only for one whose
            threads do what the thread does that opens it; else empty.
        flushes: whether it flushes them whatever that thread does.
        batches: whether it infers several images at once.
        converts: whether `prepare` takes seconds, and nothing else of a run has done it before.
        importing: imports its package, where that takes more than its name.
        survives_fork: whether a process may fork that has imported its package, which then starts
            no thread.
        left_wider: names the operators of an artifact that it computes in more bits than a
            precision has, as far as it tells them.
        depends_on: what an artifact for a target depends on beside packages and code, such as
            what was tuned for it.
    """

    name: str
    packages: tuple[str, ...]
    prepare: Callable[[Exported, int, str], Artifact]
    open: Callable[[Path, int], Infer]
    install: str = "pip install ."
    precisions: tuple[str, ...] = ("fp32",)
    half: OwnHalfPrecision | None = None
    int8: Quantizer | None = None
    tflite: bool = False
    flushing: str = ""
    flushes: bool = False
    batches: bool = True
    converts: bool = False
    importing: Callable[[], object] | None = None
    survives_fork: bool = False
    left_wider: Callable[[Path, str], tuple[str, ...]] = lambda path, precision: ()
    depends_on: Callable[[str], str] = lambda target: ""

    def require_flushing(self) -> None:
        """See that it can be told what to do with denormal numbers.

        Raises:
            RefusedError: it cannot; the message names those that can.
        """
        if not self.flushing:
            able = [runtime.name for runtime in RUNTIMES if runtime.flushing]
            raise RefusedError(
                f"runtime {self.name} is not known to do with denormal numbers what it is told: "
                f"use {' or '.join(able)}"
            )

    def installed(self) -> bool:
        """Return whether its Python modules are found; nothing is imported."""
        return all(map(_found, self.packages))

    def opens(self) -> bool:
        """Return whether it can run here what was prepared elsewhere."""
        return _found(self.packages[0])

    def loaded(self) -> bool:
        """Return whether its package is imported already."""
        return _module(self.packages[0]) in sys.modules

    def load(self) -> None:
        """Import its package, which opening an artifact then need not."""
        if self.importing is not None:
            self.importing()
        else:
            importlib.import_module(_module(self.packages[0]))

    def precisions_on(self, target: str = "") -> tuple[str, ...]:
        """Return the precisions in which it runs a network of fp32, on CPUs of a target or any."""
        half = self.half is not None and target in self.half.targets()
        own = {"fp16": half, "int8": self.int8 is not None and _has(target, self.int8.features)}
        known = (*self.precisions, *(name for name, has in own.items() if has))
        return tuple(dict.fromkeys(known))

    def scores_anywhere(self, precision: str) -> bool:
        """Say whether its answers in a precision can be had on CPUs that do not compute in it."""
        return precision == "fp16" and self.half is not None and self.half.same_bits

    def runs_as_it_is(self, network: Network, precision: str) -> bool:
        """Say whether it runs a user's file itself, which is in this precision."""
        return self.tflite and network.is_tflite and network.precision == precision

    def require(self, precision: str = "fp32", target: str = "") -> None:
        """See that it can be used here, for networks of this precision.

        Args:
            precision: that is computed in.
            target: the name of the CPU's; empty where it is not known.

        Raises:
            RefusedError: it does not run this precision; the message names who does.
            UnavailableError: it is not installed; the message has the command that mends it.
        """
        if precision not in self.precisions_on(target):
            if precision == "fp16" and self.half is not None:
                scored = "; its accuracy can be scored here" if self.half.same_bits else ""
                raise RefusedError(
                    f"runtime {self.name} computes in fp16 on CPUs that have "
                    f"{self.half.feature} alone: use fp32, or a device of "
                    f"{' or '.join(self.half.targets())}{scored}"
                )
            able = [runtime.name for runtime in RUNTIMES if precision in runtime.precisions_on()]
            if precision == "int8" and self.int8 is not None:
                raise RefusedError(
                    f"runtime {self.name} computes in int8 on CPUs that have "
                    f"{in_words(self.int8.features)} alone: use fp32, or {' or '.join(able)}"
                )
            raise RefusedError(
                f"runtime {self.name} runs {', '.join(self.precisions_on())}, not {precision}: "
                f"use {' or '.join(able)} for it"
                if able
                else f"no runtime runs {precision}: use fp32"
            )
        if not self.installed():
            raise UnavailableError(
                f"runtime {self.name} is not installed: {self.install!r} installs it"
            )


def _has(target: str, features: tuple[tuple[str, ...], ...]) -> bool:
    """Say whether CPUs of a target have all features of one of several; empty is any CPU."""
    if target == "host":
        return not features or any(map(host.executes, features))
    known = set(TARGETS[target].required if target else ())
    return not features or any(set(one) <= known for one in features)


# Distributions whose module has another name.
_MODULES = {"ai-edge-litert": "ai_edge_litert", "apache-tvm": "tvm", "mnn": "MNN"}


def _module(package: str) -> str:
    return _MODULES.get(package, package)


def _found(package: str) -> bool:
    return importlib.util.find_spec(_module(package)) is not None


RUNTIMES: Registry[Runtime] = Registry(
    "runtime", "facebench.harness.runtimes", partial(load_installed, "runtimes")
)


def imported_before_fork(runtime: str) -> str:
    """Return the runtime that a parent imports which forks processes for this one; or nothing.

    Runtimes of one package have a parent in common.
    """
    chosen = RUNTIMES[runtime]
    alike = [one.name for one in RUNTIMES if one.packages[:1] == chosen.packages[:1]]
    return alike[0] if chosen.survives_fork else ""


def installed() -> list[str]:
    """Return names of the runtimes that can be used here, in the order of registration."""
    return [runtime.name for runtime in RUNTIMES if runtime.installed()]

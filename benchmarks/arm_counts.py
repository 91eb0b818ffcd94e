"""Counts ncnn's benchmark networks on an emulated core: rows of results/arm_model/counts.csv.

    facebench device setup-emulated --ncnn 1.0.20230816
    python benchmarks/arm_counts.py ncnn/benchmark/models cortex-a72 mobilenet squeezenet
    python benchmarks/arm_counts.py ncnn/benchmark/models cortex-a76 --half

The networks are the `.param` files of ncnn's sources, which are not ours to ship. Each takes
a minute or several. Of an ncnn that has no wheel, arm_counts_guest.cpp is built with its
sources (by `python -m ziglang c++ -target aarch64-linux-gnu.2.28`) for `--program`. Cores that
have no code of their own in ncnn are simulated on the counts of the core that is emulated.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from facebench.harness.devices.emulator import counters, qemu
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.devices.emulator.published import counts
from facebench.harness.devices.emulator.setup import find
from facebench.harness.machine.cores import CORES

_GUEST = Path(__file__).with_name("arm_counts_guest.py")

# Pixels on a side, but for 224.
_SIZES = {"squeezenet": 227, "alexnet": 227, "blazeface": 128}

# Cores whose pipelines are simulated on the counts of another.
_ALSO = {"cortex-a76": ("cortex-a78", "tsv110")}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, help="folder of ncnn's .param files")
    parser.add_argument("core", help="that is emulated")
    parser.add_argument("networks", nargs="*", help="all that counts are shipped of by default")
    parser.add_argument("--half", action="store_true", help="compute in half precision")
    parser.add_argument("--program", type=Path, help="arm_counts_guest.cpp, built with an ncnn")
    parser.add_argument("--ncnn", default="", help="the date of that ncnn, such as 20200612")
    given = parser.parse_args()
    if bool(given.program) != bool(given.ncnn) or (given.program and given.half):
        parser.error("--program goes with --ncnn, and computes in single precision")
    known = dict.fromkeys(one.network for one in counts())
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for network in given.networks or known:
        path = given.models / f"{network}.param"
        precision = "fp16" if given.half else "fp32"
        version = given.ncnn or find().versions["ncnn"].rpartition(".")[2]
        packed = counted(path, given.core, precision, given.program)
        writer.writerows(rows(packed, path.stem, given.core, precision, version))
        sys.stdout.flush()


def rows(
    packed: bytes, network: str, core: str, precision: str, version: str
) -> Iterator[list[str | int]]:
    """Yield the rows of one network: of the core that is emulated, and of those like it."""
    for name in (core, *_ALSO.get(core, ())):
        yield [version, core, name, network, precision, *figures(packed, core, name)]


def figures(packed: bytes, core: str, name: str) -> list[int]:
    """Return instructions, simulated cycles, misses of the first level and bytes of memory.

    Args:
        packed: the counters, of caches of `core`.
        core: that was emulated.
        name: of the core whose pipeline is simulated.
    """
    levels = CORES[core].figures
    assert levels is not None
    total, _ = counters.tally(packed, "EM_AARCH64", CORES[name].figures)
    work = counters.work(total, len(levels.levels))
    memory = work.memory_bytes([level.line_bytes for level in levels.levels])
    return [work.instructions, round(work.cycles or 0), work.misses[0], memory]


def counted(path: Path, core: str, precision: str, built: Path | None) -> bytes:
    """Return the counters of two inferences and of one, as `counters.tally` reads them."""
    program = [built] if built else [_GUEST]
    size = str(_SIZES.get(path.stem, 224))
    maps, regions = emulated("ncnn", core, [*program, path, size, precision], [find().site])
    return counters.pack(maps, regions)


def emulated(
    runtime: str, core: str, program: Sequence[str | Path], packages: Sequence[Path]
) -> tuple[str, list[str]]:
    """Run a program that marks regions; return what it prints, and the counters of each.

    Args:
        runtime: that it uses.
        core: that it runs on.
        program: a Python file or an ARM program, and its arguments.
        packages: folders that Python's packages are imported from.
    """
    with tempfile.TemporaryDirectory() as folder:
        counted_to = Path(folder, "counters")
        command = EmulatedLauncher(core).command(runtime, counted_to)
        python = str(overlay(find().root("aarch64"), CORES[core]) / qemu.PYTHON)
        emulator = command[: command.index(python)]
        interpreter = [python, "-P"] if Path(program[0]).suffix == ".py" else []
        # None of the user's variables, as in `EmulatedLauncher.environment`.
        path = os.pathsep.join(map(str, packages))
        done = subprocess.run(
            [*emulator, *interpreter, *map(str, program)],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        written = sorted(Path(folder).iterdir(), key=lambda path: int(path.suffix[1:]))
        return done.stdout, [path.read_text() for path in written]


if __name__ == "__main__":
    main()

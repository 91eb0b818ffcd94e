"""Hostile files and names, by mutation: each ends in a result or in one sentence.

    python -m tests.faults.fuzz                      a minute of each target
    python -m tests.faults.fuzz --seconds 600 --only onnx,checkpoint -o found

A target is a kind of file that people give to facebench, with good ones as seeds. Each input
is tried in a fork of its own: it may not crash, take longer than its limit or more memory, run
code, or write outside its folder. What did is kept, with what it did.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from facebench.architectures.errors import FacebenchError
from tests.faults.hostile import TARGETS, Target

# Of one input: seconds, and bytes beyond what the process has already.
LIMIT_S = 30.0
LIMIT_BYTES = 3 * 2**30

_TOKENS = (
    b"../../../etc/passwd", b"\0", b"1e999", b"-1", b"NaN", b"9" * 400, b"\xff\xfe", b"[" * 3000,
    b"{}", b"null", b"\r\n", "顔".encode(), b"%s%n", b"$(touch ran)", b"`touch ran`", b'"', b",",
    b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x7f\xff\xff\xff\xff\xff\xff\xff",
)  # fmt: skip


def mutate(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A damaged copy."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(8):
            case 0 if made:
                made[min(at, len(made) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                made[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
            case 2:
                del made[at:]
            case 3:
                made[at:at] = chance.choice(_TOKENS)
            case 4:
                end = min(len(made), at + chance.randrange(1, 200))
                made[at:at] = made[at:end] * chance.choice((1, 2, 50))
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                made[at : at + 64] = other[start : start + 64]
            case 6:
                del made[at : at + chance.randrange(1, 64)]
            case _:
                size = chance.choice((1, 2, 4, 8))
                number = chance.choice((0, 1, 2**7, 2**15 - 1, 2**31 - 1, 2**63 - 1, 2**64 - 1))
                made[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(made)


def inputs(target: Target, seeds: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """The seeds as they are, then damaged ones without end."""
    yield from seeds
    while True:
        yield mutate(chance.choice(seeds), seeds, chance)


def attempt(target: Target, data: bytes, folder: Path) -> str:
    """Use an input in a fork; an empty text, or what it did that it may not."""
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "inside"
    inside.mkdir(parents=True)
    path = inside / f"input{target.suffix}"
    path.write_bytes(data)
    trace = folder / "trace"
    pid = os.fork()
    if not pid:
        _child(target, path, trace)
    status, slow = _wait(pid)
    if slow:
        return f"it took longer than {LIMIT_S:.0f} s"
    if os.WIFSIGNALED(status):
        return f"it crashed ({signal.Signals(os.WTERMSIG(status)).name})\n{_read(trace)}"
    if os.WEXITSTATUS(status):
        return _read(trace) or f"exit code {os.WEXITSTATUS(status)}"
    strange = [
        found.name for found in folder.iterdir() if found.name not in ("inside", "trace", "cache")
    ]
    return f"it wrote {strange}" if strange else ""


def _child(target: Target, path: Path, trace: Path) -> None:
    code = 1
    try:
        os.environ["FACEBENCH_CACHE"] = str(trace.parent / "cache")
        os.chdir(trace.parent)
        with trace.open("w") as file:
            faulthandler.enable(file)
            used = psutil.Process().memory_info().vms
            resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES,) * 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    target.use(path)
                code = 0
            except FacebenchError as error:
                code = 0 if str(error).strip() and "\n\n" not in str(error) else 1
                file.write(f"an empty sentence: {error!r}" if code else "")
            except BaseException:
                traceback.print_exc(file=file)
            file.flush()
    finally:
        os._exit(code)


def _wait(pid: int) -> tuple[int, bool]:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status, False
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 0, True


def _read(path: Path) -> str:
    return path.read_text(errors="replace")[-4000:] if path.exists() else ""


@dataclass(frozen=True)
class Found:
    """What came of a target: how many inputs, and what went wrong with which."""

    tried: int
    wrong: tuple[tuple[bytes, str], ...]


def fuzz(
    target: Target, folder: Path, seed: int, seconds: float | None = None, most: int | None = None
) -> Found:
    """Try inputs for so many seconds, or so many of them."""
    seeds = target.seeds(folder)
    # What a fork would load again each time.
    warm = folder / f"warm{target.suffix}"
    warm.write_bytes(seeds[0])
    with redirect_stdout(io.StringIO()), suppress(FacebenchError):
        target.use(warm)
    tried, wrong = 0, []
    end = None if seconds is None else time.monotonic() + seconds
    for data in inputs(target, seeds, random.Random(f"{target.name} {seed}")):
        if tried == most or (end is not None and time.monotonic() > end):
            break
        tried += 1
        if said := attempt(target, data, folder / "trial"):
            wrong.append((data, said))
    return Found(tried, tuple(wrong))


def main() -> None:
    """Fuzz the targets and say what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("-o", "--out", type=Path, help="folder for inputs that went wrong")
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name] or list(TARGETS)
    bad = 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
            found = fuzz(TARGETS[name], Path(temporary), options.seed, seconds=options.seconds)
        print(f"{name:12} {found.tried:6} inputs, {len(found.wrong)} went wrong", flush=True)
        kinds = {text.strip().splitlines()[-1]: (data, text) for data, text in found.wrong}
        for number, (last, (data, text)) in enumerate(kinds.items()):
            print(f"    {last[:200]}")
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                stem = options.out / f"{name}-{number}"
                stem.with_suffix(TARGETS[name].suffix).write_bytes(data)
                stem.with_suffix(".txt").write_text(text)
        bad += len(found.wrong)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

"""Attacks from outside on the commands, by the thousand; what came of each, counted.

    python -m tests.faults.attacks                      20,000 tries; an hour or two
    python -m tests.faults.attacks --tries 500 --only results,links -o found

Each try is made in a fork of this process, in folders of its own: files that somebody gave,
links that somebody planted, disks that are full or know no locks, boards and users that mean
harm. It ends in a result or in one sentence. Where it ends in a traceback, where a record that
was there is there no more, or where anything is written outside of what the command was told
to write, the exit code is 1, and what did it is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import io
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LIMIT_S = 120.0
LIMIT_BYTES = 4 * 2**30

# How a try may end; of the last three there are to be none.
ENDS = ("accepted", "one sentence", "traceback", "lost", "written outside")


@dataclass
class Try:
    """One attack, about to be made.

    Attributes:
        folder: its own: what is given is in `in`, what may be written in `out`, `cache`, `tmp`.
        commands: words of facebench's commands, tried in order.
        before: made in the fork before them, such as taking locks away.
        kept: lines of a results file in `out` that must be there afterwards.
        after: made here after them; an empty text, or what went wrong.
        act: tried instead of commands; yields an end for each of several tries.
    """

    folder: Path
    commands: list[list[str]] = field(default_factory=list)
    before: Callable[[], object] = lambda: None
    kept: tuple[bytes, ...] = ()
    after: Callable[[], str] = lambda: ""
    act: Callable[[], Iterator[str]] | None = None

    @property
    def given(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"


@dataclass(frozen=True)
class Attack:
    """A kind of attack.

    Attributes:
        name: of the kind.
        share: of 20,000 tries.
        prepare: makes a try ready; the folder has `in` and `outside`, with a victim in it.
    """

    name: str
    share: int
    prepare: Callable[[Try, random.Random], object]


def attempt(attack: Attack, folder: Path, chance: random.Random) -> tuple[Counter[str], str]:
    """Make one try; how it ended, and what was said, where it should not have."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("in", "outside/folder", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    for victim in ("outside/victim", "outside/folder/victim", "home/.bashrc"):
        (folder / victim).write_text("as it was\n")
    one = Try(folder)
    attack.prepare(one, chance)
    before = _snapshot(folder)
    said, status = _forked(one)
    ends = Counter(line for line in said.splitlines() if one.act and line in ENDS)
    wrong = _traceback(said, status)
    if not wrong and (wrong := one.after()):
        said += f"\n{wrong}"
    if not one.act or (wrong and not ends["traceback"]):
        code = os.waitstatus_to_exitcode(status)
        ends["traceback" if wrong else "one sentence" if code > 1 else "accepted"] += 1
    if changed := _snapshot(folder) ^ before:
        ends["written outside"] += 1
        said += f"\nwritten outside: {sorted(changed)[:5]}"
    if any(line not in _stored(one.out) for line in one.kept):
        ends["lost"] += 1
        said += "\na record is lost"
    bad = any(ends[name] for name in ENDS[2:])
    return ends, f"{one.commands}\n{said}" if bad else ""


def _stored(out: Path) -> set[bytes]:
    found = [path for path in out.glob("*") if path.is_file() and not path.is_symlink()]
    return {line for path in found for line in path.read_bytes().splitlines()}


def _snapshot(folder: Path) -> set[tuple[str, str]]:
    """All that is there, and may not change."""
    seen = set()
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in ("out", "cache", "tmp")]
        for name in names:
            path = Path(place, name)
            what = os.readlink(path) if path.is_symlink() else "a pipe"
            if path.is_file() and not path.is_symlink():
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            seen.add((str(path.relative_to(folder)), what))
        seen |= {(str(Path(place, name).relative_to(folder)), "folder") for name in folders}
    return seen


def _traceback(said: str, status: int) -> str:
    """What a user may never see, or an empty text."""
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if "Traceback (most recent call last)" in said:
        return "traceback"
    code = os.WEXITSTATUS(status)
    return "" if code < 2 or said.strip() else f"exit code {code} without a word"


def _forked(one: Try) -> tuple[str, int]:
    """Make the try in a fork; what it said on standard error, and its wait status."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        os.dup2(writing, 2)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        # Whoever started this process may have put something else in their places.
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", errors="backslashreplace")
        os.setsid()
        _child(one)
    os.close(writing)
    said, end = b"", time.monotonic() + LIMIT_S
    while select.select([reading], [], [], max(end - time.monotonic(), 0))[0]:
        part = os.read(reading, 65536)
        if not part:
            break
        said = (said + part)[-200_000:]
    else:
        os.killpg(pid, signal.SIGKILL)
        said += b"\nTraceback (most recent call last): it hangs"
    os.close(reading)
    return said.decode(errors="replace"), os.waitpid(pid, 0)[1]


def _child(one: Try) -> None:
    code = 70
    try:
        os.chdir(one.folder)
        place = {"FACEBENCH_CACHE": "cache", "HOME": "home", "TMPDIR": "tmp"}
        os.environ.update({name: str(one.folder / path) for name, path in place.items()})
        tempfile.tempdir = None
        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        one.before()
        code = 0
        for end in one.act() if one.act else ():
            print(end, file=sys.stderr, flush=True)
        for command in one.commands:
            code = max(code, _command(command))
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        sys.stderr.flush()
        os._exit(code)


def _command(words: list[str]) -> int:
    from facebench.harness.cli import main

    sys.argv = ["facebench", *words]
    try:
        main.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def ended(words: list[str], check: Callable[[], str] = lambda: "") -> str:
    """How a command ends in this process, one of several that a fork makes."""
    told = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(told):
            code = _command(words)
        wrong = check() or ("" if code < 2 or told.getvalue().strip() else "not a word")
    except BaseException:
        wrong = traceback.format_exc()
    if wrong:
        print(words, wrong, sep="\n", file=sys.stderr)
        return "traceback"
    return "one sentence" if code > 1 else "accepted"


def warm() -> None:
    """Load what forks would load again each time."""
    import torch

    from facebench.harness.cli.main import _COMMANDS, cli

    for module in ("onnx", "matplotlib.pyplot", "facebench.reports.render",
                   "facebench.harness.models.export"):  # fmt: skip
        importlib.import_module(module)
    torch.set_num_threads(1)
    for name, *_ in _COMMANDS:
        command = cli.commands[name]
        command.get_help(command.make_context(name, ["-h"], resilient_parsing=True))


def campaign(
    attacks: list[Attack], tries: int, seed: int, keep: Path | None
) -> dict[str, Counter[str]]:
    """Make so many tries of 20,000 in their shares, or until Ctrl-C; the ends of each kind."""
    table: dict[str, Counter[str]] = {attack.name: Counter() for attack in attacks}
    whole = sum(attack.share for attack in attacks)
    with (
        contextlib.suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="attacks-") as temporary,
    ):
        for attack in attacks:
            chance = random.Random(f"{attack.name} {seed}")
            ends = table[attack.name]
            while ends.total() < max(1, round(tries * attack.share / whole)):
                found, said = attempt(attack, Path(temporary, "try"), chance)
                ends.update(found)
                if said:
                    _tell(attack, said, keep, Path(temporary, "try"), ends.total())
            print(row(attack.name, ends), flush=True)
    return table


def _tell(attack: Attack, said: str, keep: Path | None, folder: Path, number: int) -> None:
    print(f"    {attack.name}: {' | '.join(said.strip().splitlines()[-3:])[:300]}", flush=True)
    if keep is not None:
        kept = keep / f"{attack.name}-{number}"
        with contextlib.suppress(shutil.Error):  # of pipes
            shutil.copytree(folder / "in", kept, symlinks=True, dirs_exist_ok=True)
        (keep / f"{attack.name}-{number}.txt").write_text(said)


def row(name: str, ends: Counter[str]) -> str:
    """A line of the table."""
    counts = "  ".join(f"{ends[end]:6} {end}" for end in ENDS)
    return f"{name:16} {ends.total():6} tried  {counts}"


def main() -> None:
    """Attack, and print the table."""
    from tests.faults.attack_kinds import ATTACKS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("-o", "--out", type=Path, help="folder for what went wrong, and the counts")
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name] or list(ATTACKS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warm()
    table = campaign([ATTACKS[name] for name in chosen], options.tries, options.seed, options.out)
    total = sum(table.values(), Counter())
    print(*(row(name, ends) for name, ends in {**table, "all": total}.items()), sep="\n")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "counts.json").write_text(json.dumps(table, indent=1))
    sys.exit(any(total[end] for end in ENDS[2:]))


if __name__ == "__main__":
    main()

"""A campaign of faults against the main job, as its users run it; a table of what came of them.

    python -m tests.faults.campaign                    all faults, 200 kills; half an hour
    python -m tests.faults.campaign --kills 20 --only kill,flip-cache -o counts.json

Each trial runs a small plan by the command line, in folders of its own, and has one thing go
wrong. Then: the store opens, holds every record that was reported as done, the same command
finishes the plan, and the records equal those of an undisturbed run: exact figures are equal,
times are there. The exit code is 1 where any trial fails. `tests.faults.attacks` is the other
half: what strangers may give, plant and answer, by the thousand. Faults that need a mount are tried
as root, and are named as not tried otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facebench.harness.records.store import latest
from tests.faults.acts import Fault, faults
from tests.faults.trials import Trial, World, figures


def tiny_network(path: Path) -> Path:
    """A network of 112x112 that embeds in a fraction of a millisecond."""
    import torch
    from torch import nn

    from tests.harness.conftest import write_onnx

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8), nn.PReLU(8), nn.Conv2d(8, 16, 14), nn.Flatten()
    )
    return write_onnx(module.eval(), path, size=112)


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="trials at the same time")
    parser.add_argument("--only", default="", help="faults whose names begin with one of these")
    parser.add_argument("-o", "--out", type=Path, help="the counts, as JSON")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        scratch = Path(temporary)
        counts, lost = campaign(scratch, options)
    table = [
        {"fault": name, "tried": len(ends), "survived": ends.count("")}
        for name, ends in counts.items()
    ]
    for row in table:
        print(f"{row['fault']:32} {row['tried']:4} tried  {row['survived']:4} survived")
    tried = sum(len(ends) for ends in counts.values())
    minutes = (time.monotonic() - began) / 60
    print(f"{tried} faults, {tried - len(lost)} survived, {minutes:.0f} minutes", flush=True)
    for line in lost:
        print(f"LOST {line}")
    if os.geteuid() != 0:
        print("not tried: full disks and a read-only cache, which need a mount")
    if options.out is not None:
        options.out.write_text(json.dumps({"faults": table, "lost": lost}, indent=1))
    sys.exit(1 if lost else 0)


def campaign(scratch: Path, options: argparse.Namespace) -> tuple[dict[str, list[str]], list[str]]:
    """How each trial ended, by fault: an empty text, or what was lost."""
    network = tiny_network(scratch / "tiny.onnx")
    first = Trial(scratch / "undisturbed", network, None)
    start = time.monotonic()
    run = first.start()
    if run.end() != 0:
        raise SystemExit(f"the undisturbed run ends badly: {run.lines[-3:]}")
    seconds = time.monotonic() - start
    records = latest(first.store.read())
    world = World(network, first.cache, figures(records), len(records), seconds)
    print(f"undisturbed: {world.cases} cases in {seconds:.0f} s", flush=True)
    chosen = tuple(filter(None, options.only.split(",")))
    chance = random.Random(options.seed)
    waiting = [
        fault
        for fault in faults(world, options.kills, chance, scratch)
        if not chosen or fault.name.startswith(chosen)
    ]
    counts: dict[str, list[str]] = {fault.name: [] for fault in waiting}
    lost: list[str] = []
    total = sum(fault.faults for fault in waiting)

    def attempt(numbered: tuple[int, Fault]) -> None:
        number, fault = numbered
        trial = Trial(scratch / str(number), network, world.warm if fault.warm else None)
        try:
            fault.act(trial)
            end = ""
        except Exception as error:
            end = f"{fault.name} (trial {number}): {type(error).__name__}: {error}"
            lost.append(end)
            print(end, flush=True)
        counts[fault.name] += [end] * fault.faults
        shutil.rmtree(trial.folder, ignore_errors=True)
        done = sum(map(len, counts.values()))
        print(f"{done}/{total} {fault.name}, {len(lost)} lost", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(attempt, enumerate(waiting)))
    return counts, lost


if __name__ == "__main__":
    main()

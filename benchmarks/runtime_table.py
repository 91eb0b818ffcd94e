"""Networks in every runtime: right, or refused with the reason.

    python benchmarks/runtime_table.py edgeface_s timm:fastvit_t8:gdconv --state newest.jsonl
    python benchmarks/runtime_table.py light_cnn_9 --runtimes tvm --precision int8
    python benchmarks/runtime_table.py --state newest.jsonl --write docs/networks.md

Each runtime prepares the network with random weights and is asked for all reference inputs, in a
process of its own. `right` says that its answers pass the check without which nothing is timed.
Anything else is the sentence that the product says. What was found is kept line by line in the
state file, so that the same command goes on where it was; `--write` makes the page's table of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm_table

from facebench.harness.runtimes.registry import RUNTIMES

# torch is what answers are held against, and MobileFaceNet's own.
COLUMNS = [name for name in RUNTIMES.names() if name not in ("torch", "torch_frozen")]


def tried(name: str, runtime: str, precision: str) -> dict[str, Any]:
    """Return what a runtime makes of a network: what is said, and what that took of CPUs."""
    from facebench.harness.measures.deployment import Deployment, deploy
    from facebench.harness.measures.job import Job
    from facebench.harness.models.networks import resolve
    from facebench.harness.records.case import Case

    network = resolve(name)
    target = "host" if runtime == "tvm" else ""
    case = Case("latency", network.name, network.weights, precision, runtime=runtime, target=target)
    job = Job(case, network, calibration="synthetic" if precision == "int8" else "")
    made: list[Deployment] = []
    agreed: list[str] = []

    def check() -> None:
        made.append(deploy(job))
        _, checks = made[0].check(made[0].open(1).infer)
        agreed.extend(check.detail for check in checks)

    before = sum(os.times()[:4])
    found = {"said": timm_table.outcome(check), "cpu_s": round(sum(os.times()[:4]) - before, 1)}
    if agreed:
        found["agreed"] = "; ".join(agreed)
    if made and runtime == "tvm":
        compilation = made[0].artifact.path / "compilation.json"
        found["kernels"] = json.loads(compilation.read_text())["kernels"]
    return found


def go_on(state: Path, names: Sequence[str], runtimes: Sequence[str], precision: str) -> None:
    """Try what is not known yet, each in a process of its own."""
    before = known(state)
    for name in names:
        for runtime in runtimes:
            if runtime in before.get(name, {}):
                continue
            command = [sys.executable, __file__, name, "--child", runtime, "--precision", precision]
            done = subprocess.run(command, capture_output=True, text=True)
            lines = [line for line in done.stdout.splitlines() if line.startswith('{"said"')]
            died = f"DEFECT the process ended with {done.returncode}: {done.stderr[-300:]}"
            found = json.loads(lines[-1]) if lines else {"said": died}
            with state.open("a") as file:
                file.write(json.dumps({"network": name, "runtime": runtime} | found) + "\n")
            print(name, runtime, *found.values(), sep="  ", flush=True)


def known(state: Path) -> dict[str, dict[str, str]]:
    """Return what the state file holds of each network, by runtime."""
    found: dict[str, dict[str, str]] = {}
    for line in state.read_text().splitlines() if state.exists() else []:
        row = json.loads(line)
        found.setdefault(row["network"], {})[row["runtime"]] = row["said"]
    return found


def page(found: dict[str, dict[str, str]]) -> str:
    """Return the table, and the sentences of the refusals."""
    sentences: dict[str, int] = {}
    lines = [
        "| network | " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * (1 + len(COLUMNS)),
    ]
    for name, row in found.items():
        said = [row.get(one, "").replace(name, "it") for one in COLUMNS]
        cells = [timm_table.cell(one, name, sentences) for one in said]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    notes = [f"{number}. {sentence}" for sentence, number in sentences.items()]
    return "\n".join(
        [*lines, *(["", "Refused with these sentences:", ""] if notes else []), *notes]
    )


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--state", type=Path, default=Path("runtimes.jsonl"))
    parser.add_argument("--runtimes", type=lambda text: text.split(","), default=COLUMNS)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        warnings.simplefilter("ignore")
        print(json.dumps(tried(chosen.networks[0], chosen.child, chosen.precision)))
    elif chosen.write:
        timm_table.write(chosen.write, page(known(chosen.state)))
    else:
        go_on(chosen.state, chosen.networks, chosen.runtimes, chosen.precision)


if __name__ == "__main__":
    main()

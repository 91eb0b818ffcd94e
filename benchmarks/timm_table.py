"""Every mobile backbone of timm in every runtime: right, or refused with the reason.

    python benchmarks/timm_table.py [--state timm.jsonl] [--only NAME ...] [--parts host,tvm]
    python benchmarks/timm_table.py --write docs/timm.md

Each backbone is made a face network with the head `gap` on 112x112 pixels and random weights.
It is counted, exported, and run in each runtime on the reference inputs. `right` says:

- cost: the multiply-adds by the paper's convention are those that torch's own counter finds. It
  is asked for batches of one and two, so that what does not depend on the image drops out.
- a runtime: its embeddings are within the tolerance of all runtimes of torch's in double precision.
  TVM's code is generated without LLVM's optimizations, which takes half the time and says as much.

Anything else is the sentence that the product says. What was found is kept line by line in
the state file, so that the same command goes on where it was; `--write` makes the page of it.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

# The rule: of these families all that have at most so many million parameters, classifier
# included. TensorFlow's forms of them (tf_) too.
FAMILIES = re.compile(
    r"(tf_)?(mobilenetv[1-4]|mobilenet_edgetpu|efficientnet_(lite|es|em|b0$)|mnasnet|semnasnet"
    r"|fbnet|spnasnet|ghostnet|repghostnet|mobilevit|mobileone|fastvit|repvit|repvgg_a0|tinynet"
    r"|lcnet|hardcorenas|mixnet|rexnet|edgenext|efficientformer|efficientvit_[bm]|tiny_vit|levit"
    r"|starnet|shvit|fasternet|swiftformer|inception_next_atto|convnextv2_atto|hgnetv2_b0)"
)
MOST_PARAMETERS = 10.0
POSITIONS = re.compile(r"pos_embd$")
HOST = ("torch", "torch_frozen", "onnxruntime", "openvino", "ncnn")
COLUMNS = ("cost", *HOST, "tvm")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
# Networks a process takes on: importing torch and timm costs more than a small network.
CHUNK = 12


def backbones() -> list[str]:
    """Return all names of the families; which are too large shows when they are built."""
    import timm

    return [name for name in timm.list_models() if FAMILIES.match(name)]


def outcome(what: Any) -> str:
    """Return `right`, or the sentence of the refusal."""
    from facebench.architectures.errors import FacebenchError

    try:
        what()
    except FacebenchError as error:
        return str(error)
    except Exception as error:  # what the product should have refused itself
        return f"DEFECT {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return "right"


def operations(network: Any, count: int, size: int = 112, device: str = "cpu") -> int:
    """Return the multiply-adds that torch's counter finds for so many images."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(count, 3, size, size, device=device))
    # EdgeNeXt convolves a table of positions for each image anew, though it is always the same.
    tables = [found for name, found in counter.get_flop_counts().items() if POSITIONS.search(name)]
    constant = sum(sum(found.values()) for found in tables)
    return int(counter.get_total_flops() - constant) // 2


def require_counted(network: Any, found: dict[str, Any]) -> None:
    """Raise AssertionError where our count is not that of torch."""
    from facebench.harness.models.bn_folding import inference_form
    from facebench.harness.models.cost import count

    cost = count(network, (112, 112), 128)
    found["madds"] = cost.madds["conv+linear"]
    form = inference_form(network)
    theirs = operations(form, 2) - operations(form, 1)
    assert theirs == found["madds"], f"{found['madds']} counted, torch counts {theirs}"


def parameters(backbone: str) -> float:
    """Return parameters of timm's own network, in millions, its classifier's among them."""
    import timm
    import torch

    with torch.device("meta"):
        whole = timm.create_model(backbone)
    return sum(p.numel() for p in whole.parameters()) / 1e6


def published(backbone: str) -> int:
    """Return timm's own multiply-adds at 224x224, without the classifier, or 0.

    Of what it deploys as. Nothing is computed: tensors have no data.
    """
    import timm
    import torch
    from timm.utils.model import reparameterize_model

    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=0).eval()
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    with torch.device("meta"):
        try:
            return operations(reparameterize_model(network), 1, 224, "meta")
        except Exception:  # one that cannot run without data, or at 224x224
            return 0


def run_runtime(name: str, exported: Any, target: str = "host") -> None:
    """Raise what the product raises of a network in a runtime."""
    import numpy as np

    from facebench.harness.models import precision
    from facebench.harness.runtimes.registry import RUNTIMES

    runtime = RUNTIMES[name]
    runtime.require("fp32")
    infer = runtime.open(runtime.prepare(exported, 1, target).path, 1)
    images, expected = exported.reference()
    answers = np.concatenate([infer(image[None]) for image in images])
    found = precision.agreement(answers, expected)
    precision.require_agreement(name, "fp32", found, exported.facts()["rounding"])


def on_host(backbone: str) -> dict[str, Any]:
    """Return what was found of a network without TVM, which wants a process without torch."""
    from facebench.architectures import initialise
    from facebench.harness.models import export, networks

    found: dict[str, Any] = {"backbone": backbone, "parameters": parameters(backbone)}
    if found["parameters"] > MOST_PARAMETERS and not FORCED:
        return found | {"large": True}
    found["published"] = published(backbone)
    name = f"timm:{backbone}:gap"
    made: list[Any] = []
    built = outcome(lambda: made.append(initialise.create(name, 0)))
    if not made:
        return found | dict.fromkeys(COLUMNS, built)
    found["cost"] = outcome(lambda: require_counted(made[0], found))
    files: list[Any] = []
    written = outcome(lambda: files.append(export.export(networks.resolve(name))))
    for runtime in HOST:
        one = partial(run_runtime, runtime, *files)
        found[runtime] = outcome(one) if files else written
    return found | ({} if files else {"tvm": written})


def in_tvm(backbone: str) -> dict[str, Any]:
    """Return what was found of a network in TVM."""
    from facebench.harness.models import export, networks

    # Nobody imports torch here: what it would export is in the cache.
    exported = export.export(networks.resolve(f"timm:{backbone}:gap"))
    return {
        "backbone": backbone,
        "tvm": outcome(lambda: run_runtime("tvm", exported, "unoptimized")),
    }


def remember_networks() -> None:
    """Keep the last network that was made: the count, the export and torch each make it."""
    from facebench.architectures import initialise

    made = lru_cache(maxsize=1)(initialise.create)
    initialise.create = lambda *given: copy.deepcopy(made(*given))


def add_unoptimized() -> None:
    """Register this machine as a target for which LLVM optimizes nothing."""
    from facebench.harness.compiler import targets, tvm

    class Unoptimized(targets.Target):
        def options(self) -> dict[str, Any]:
            return super().options() | {"opt-level": 0}

    here = asdict(tvm.resolve(targets.TARGETS["host"]))
    targets.TARGETS.add("unoptimized", Unoptimized(**here | {"name": "unoptimized"}))


FORCED = False


def child(part: str, names: list[str]) -> None:
    """Print what is found of each network, a line of JSON each."""
    import warnings

    warnings.simplefilter("ignore")
    prepare = add_unoptimized if part == "tvm" else remember_networks
    prepare()
    for name in names:
        print(json.dumps({"begun": name}), flush=True)
        print(json.dumps(on_host(name) if part == "host" else in_tvm(name)), flush=True)


def found_by(part: str, names: list[str], forced: bool) -> Iterator[dict[str, Any]]:
    """Run a part for networks in processes of their own, as many as it takes."""
    left = list(names)
    while left:
        command = [sys.executable, __file__, "--child", part, *(["--force"] if forced else [])]
        begun = ""
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                [*command, "--only", *left], stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            for line in process.stdout or ():
                said = json.loads(line) if line.startswith("{") else {}
                begun = said.get("begun", begun)
                if "backbone" in said:
                    left.remove(said["backbone"])
                    yield said
            process.wait()
            errors.seek(0)
            last = errors.read()[-300:]
        if begun in left:
            left.remove(begun)
            died = f"DEFECT the process ended with {process.returncode}: {last}"
            kinds = ("tvm",) if part == "tvm" else COLUMNS
            yield {"backbone": begun} | dict.fromkeys(kinds, died)
        elif not begun:
            raise SystemExit(last)


def known(state: Path) -> dict[str, dict[str, Any]]:
    """Return what the state file holds of each network."""
    found: dict[str, dict[str, Any]] = {}
    for line in state.read_text().splitlines() if state.exists() else []:
        said = json.loads(line)
        found.setdefault(said["backbone"], {}).update(said)
    return found


def go_on(state: Path, names: list[str], parts: list[str], forced: bool) -> None:
    """Find what is not known yet, and add it to the state file."""
    before = known(state)
    todo = [name for name in names if any(_wants(part, name, before) for part in parts)]
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        for part in parts:
            for said in found_by(part, [n for n in chunk if _wants(part, n, known(state))], forced):
                with state.open("a") as file:
                    file.write(json.dumps(said) + "\n")
                kinds = [f"{c}: {said[c]}" for c in COLUMNS if said.get(c, "right") != "right"]
                print(said["backbone"], part, *(kinds or ["right"]), sep="  ", flush=True)


def _wants(part: str, name: str, found: dict[str, dict[str, Any]]) -> bool:
    """Return whether a part is left to do; TVM reads what the other has exported."""
    known = found.get(name, {})
    return not known.get("large") and ("tvm" not in known if part == "tvm" else "cost" not in known)


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the table, and the sentences of the refusals."""
    rows = {n: f for n, f in sorted(found.items()) if not f.get("large") and "cost" in f}
    sentences: dict[str, int] = {}
    lines = [
        "| backbone | parameters | MAdds | timm's own at 224x224 | " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * (4 + len(COLUMNS)),
    ]
    for name, row in rows.items():
        cells = [cell(row.get(column, ""), name, sentences) for column in COLUMNS]
        madds = [f"{row[k] / 1e6:.1f} M" if row.get(k) else "–" for k in ("madds", "published")]
        size = f"{row['parameters']:.1f} M" if row.get("parameters") else "–"
        lines.append(f"| `{name}` | {size} | {' | '.join(madds)} | {' | '.join(cells)} |")
    counts = Counter(c for row in rows.values() for c in COLUMNS if row.get(c) == "right")
    asked = Counter(c for row in rows.values() for c in COLUMNS if row.get(c))
    shares = [_share(counts[column], asked[column]) for column in COLUMNS]
    summary = [
        f"{len(rows)} backbones.",
        "",
        "| | " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * (1 + len(COLUMNS)),
        "| tried | " + " | ".join(str(asked[column]) for column in COLUMNS) + " |",
        "| right | " + " | ".join(str(counts[column]) for column in COLUMNS) + " |",
        "| share | " + " | ".join(shares) + " |",
    ]
    notes = [f"{number}. {sentence}" for sentence, number in sentences.items()]
    if notes:
        notes = ["", "Refused with these sentences:", "", *notes]
    return "\n".join([*summary, "", *lines, *notes]) + "\n"


def _share(right: int, asked: int) -> str:
    return f"{100 * right / asked:.1f} %" if asked else "–"


def cell(said: str, name: str, sentences: dict[str, int]) -> str:
    if said in ("", "right"):
        return said or "–"
    plain = re.sub(r"\d\.\de[-+]\d\d", "…", said.replace(f"timm:{name}:gap", "it"))
    plain = plain.replace(f"'{name}'", "it")
    return f"refused ({sentences.setdefault(plain, len(sentences) + 1)})"


def write(path: Path, text: str) -> None:
    """Put the table between the marks of a page."""
    whole = path.read_text()
    before, after = whole.partition(BEGIN)[0], whole.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--state", type=Path, default=Path("timm.jsonl"))
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--parts", default="host,tvm")
    parser.add_argument("--force", action="store_true", help="larger ones too")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        global FORCED
        FORCED = chosen.force
        child(chosen.child, chosen.only)
    elif chosen.write:
        write(chosen.write, page(known(chosen.state)))
    else:
        go_on(chosen.state, chosen.only or backbones(), chosen.parts.split(","), chosen.force)


if __name__ == "__main__":
    main()

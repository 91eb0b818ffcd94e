"""Each page on adding something has an example that is run here as it stands there.

An example is registered in a process of its own: as an installed package where there is an
entry point for its kind, else by importing it, which is what a file in the tree comes to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.registry import DATASETS
from tests.harness.conftest import write_onnx
from tests.places import ROOT
from tests.plugins import plugin

PAGES = ROOT / "docs" / "extending"


def example(page: str) -> str:
    text = (PAGES / f"{page}.md").read_text()
    (found,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def run(folder: Path, *arguments: str, **variables: str) -> str:
    """What Python prints for these arguments, where the folder's modules and packages are known."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(folder)} | variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def facebench(folder: Path, *arguments: str, **variables: str) -> Any:
    return json.loads(run(folder, "-m", "facebench", *arguments, "--json", **variables))


def after(folder: Path, page: str, code: str) -> Any:
    """What a program prints, as JSON, once the example is imported."""
    (folder / "mine.py").write_text(example(page))
    return json.loads(run(folder, "-c", f"import json\nimport mine\n{code}"))


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that is done in a moment, for faces of 112x112."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 8, stride=8), nn.PReLU(4), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    return f"onnx:{write_onnx(module.eval(), path, 112)}"


def test_every_page_has_a_test() -> None:
    tested = {name.removeprefix("test_").replace("_", "-") for name in globals() if "test_" in name}
    assert {path.stem for path in PAGES.glob("*.md")} - {"index"} <= tested


def test_architecture(tmp_path: Path) -> None:
    """It is counted as the closed form says: convolution, BN, PReLU and linear layer."""
    path = tmp_path / "three_layers.py"
    path.write_text(example("architecture"))
    found = facebench(tmp_path, "cost", "three_layers", FACEBENCH_NETWORKS=str(path))
    assert found["parameters"] == 16 * 3 * 9 + 2 * 16 + 16 + 16 * 64
    assert found["madds"]["conv+linear"] == 56 * 56 * 16 * 3 * 9 + 16 * 64


def test_runtime(tmp_path: Path, onnx: str) -> None:
    """It is taken by name, its answers agree with torch's, and it is timed in a worker process."""
    plugin(tmp_path, example("runtime"), "runtimes")
    quick = ("--processes", "1", "--seconds", "0.2")
    (record,) = facebench(tmp_path, "latency", onnx, "--runtime", "onnx_reference", *quick)
    assert record["status"] == "ok"
    assert record["output_error"] < 1e-3
    assert record["median_ms"] > 0


def test_device(tmp_path: Path, onnx: str) -> None:
    """A case runs on it, at the lowest priority, and its identity is not this machine's."""
    code = f"""
import os
from facebench.harness.devices.registry import DEVICES
from facebench.harness.models.networks import resolve
from facebench.harness.runs import jobs
from facebench.harness.runs.execute import perform
from facebench.harness.timing.sampler import Budget
network = resolve({onnx!r})
budget = Budget(sampling_s=0.2, processes=1)
job = jobs.latency_job(network, "onnxruntime", 1, budget=budget, device="background")
here, there = (DEVICES[name].facts().identity for name in ("local", "background"))
record = perform(job)
print(json.dumps([record.status, record.kind, os.nice(0), here != there]))
"""
    assert after(tmp_path, "device", code) == ["ok", "measured", 19, True]


def test_dataset(tmp_path: Path, onnx: str) -> None:
    """It is found, checked, and a network is scored on its pairs."""
    plugin(tmp_path, example("dataset"), "datasets")
    album = tmp_path / "data" / "album"
    album.mkdir(parents=True)
    faces = DATASETS["synthetic"].open(None)
    for key in faces.keys[:20]:
        person, number = faces.identities[key], int(Path(key).stem.rpartition("_")[2])
        if number <= 2:
            picture = align(faces.picture(key), faces.landmarks[key], (112, 112))
            Image.fromarray(picture).save(album / f"{person}_{number}.png")
    data = ("--data", str(tmp_path / "data"))
    checked = facebench(tmp_path, "data", "check", "album", *data)
    assert checked["problems"] == []
    assert checked["counts"]["images"] == len(list(album.iterdir()))
    scoring = ("--dataset", "album", "--runtime", "onnxruntime")
    found = facebench(tmp_path, "verify", onnx, *scoring, *data)
    (record,) = found if isinstance(found, list) else [found]
    assert record["status"] == "ok"
    assert len(record["scores"]["scores"]) == checked["counts"]["images"]


# The costs of the reference networks alone: to draw intervals of their scores takes a while.
EVIDENCE = """
from pathlib import Path
from facebench.harness.records.store import Store
from facebench.reports.evidence import Evidence
records = Store(Path("results/reference/records.jsonl")).read()
evidence = Evidence([record for record in records if record.case.measure == "cost"])
"""


def test_report_section(tmp_path: Path) -> None:
    """It is on the page at its place, with the records' smallest network, and in Markdown."""
    code = f"""{EVIDENCE}
from facebench.reports.markdown import document
from facebench.reports.page import assemble
sections = assemble(evidence)
smallest = min(evidence.costs, key=lambda name: evidence.costs[name].parameters_bn_folded)
text = document("A report", "", sections)
print(json.dumps([[one.name for one in sections], smallest, text]))
"""
    names, smallest, text = after(tmp_path, "report-section", code)
    assert names.index("cost") < names.index("smallest") < names.index("failures")
    assert f"{smallest} is the smallest of" in text.replace("\\_", "_")


def test_claim(tmp_path: Path) -> None:
    """The page's rows are judged by the reference records, one of them by the page's measure."""
    page = (PAGES / "claim.md").read_text()
    rows = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.toml").write_text("\n".join(rows))
    code = f"""{EVIDENCE}
from facebench.reports.claims.papers import judged, load
paper = load({str(tmp_path / "mine.toml")!r})
found = [
    [[one.verdict, one.findings[0].figure, one.findings[0].why] for one in judged(of, paper)]
    for of in (evidence, Evidence([]))
]
sizes = {{n: cost.parameters_bn_folded for n, cost in evidence.costs.items()}}
moved = {{n: cost.activation_bytes for n, cost in evidence.costs.items()}}
print(json.dumps([found, sizes, moved]))
"""
    (known, unknown), sizes, moved = after(tmp_path, "claim", code)
    share = sizes["mobilefacenet"] / sizes["mobilenet_v1"]
    more = moved["mobilenet_v2"] / moved["mobilefacenet"]
    assert [one[:2] for one in known] == [
        ["supported", f"{share:.3f}×"], ["supported", f"{more:.2f}×"],
    ]  # fmt: skip
    assert [one[0] for one in unknown] == ["not decidable here"] * 2
    assert "the cost of mobilefacenet and mobilenet_v1" in unknown[0][2]


def test_measure(tmp_path: Path) -> None:
    """A plan brings it, and it counts what was set to zero; it is listed and kept in the store."""
    plugin(tmp_path, example("measure"), "measures")
    module = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten())
    with torch.no_grad():
        module[0].weight.view(-1)[:7] = 0
    path = write_onnx(module.eval(), tmp_path / "pruned.onnx")
    plan = tmp_path / "plan.toml"
    plan.write_text(f'networks = ["onnx:{path}"]\nruntimes = []\ntargets = []\ndatasets = []\n')
    records = facebench(tmp_path, "run", str(plan), "-o", str(tmp_path / "out"))
    (found,) = [record for record in records if record["measure"] == "zeros"]
    assert (found["status"], found["kind"]) == ("ok", "counted")
    assert (found["zeros"], found["weights"]) == (7, 4 * 3 * 8 * 8 + 4)
    assert '"zeros": 7' in (tmp_path / "out" / "records.jsonl").read_text()
    listed = {entry["name"] for entry in facebench(tmp_path, "list", "measures")}
    assert "zeros" in listed

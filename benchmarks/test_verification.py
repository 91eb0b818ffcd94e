"""What scoring real faces takes, beside the field's way: ONNX Runtime, one image at a time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from facebench.architectures.registry import Preprocessing
from facebench.harness.models.export import export
from facebench.harness.models.networks import Network, resolve
from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.registry import DATASETS, available
from facebench.harness.verification.embedding import preprocess
from facebench.harness.verification.summary import summarise

# Network, its file in the data folder, and how pixels become its input.
NETWORKS = {
    "public": (
        "onnx:{data}/mobilefacenet_public.onnx",
        "",
        Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ),
    "table1": ("mobilefacenet", "mobilefacenet_table1_public.pth", Preprocessing()),
}
# Images that the slow way is timed on; its rate does not change with their number.
SAMPLE = 300


@pytest.fixture(scope="session")
def lfw() -> Path:
    root = Path(os.environ.get("FACEBENCH_DATA", ""))
    if not os.environ.get("FACEBENCH_DATA") or "lfw" not in available(root):
        pytest.skip("FACEBENCH_DATA names no folder with LFW")
    return root


def network(which: str, data: Path) -> Network:
    name, weights, preprocessing = NETWORKS[which]
    path = name.format(data=data)
    if not (data / weights).exists() or (weights == "" and not Path(path[5:]).exists()):
        pytest.skip(f"{data} holds no network {which}")
    return resolve(path, data / weights if weights else None, preprocessing)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("which", NETWORKS)
def test_onnxruntime_one_image_at_a_time(
    benchmark: BenchmarkFixture, lfw: Path, which: str, threads: int
) -> None:
    """As most scripts of the field do it: read, align, embed, embed the mirror, next."""
    import onnxruntime

    used = network(which, lfw)
    exported = export(used)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        exported.onnx, options, providers=["CPUExecutionProvider"]
    )
    preprocessing = used.architecture().preprocessing
    faces = DATASETS["lfw"].open(lfw)
    keys = faces.keys[:SAMPLE]

    def extract() -> None:
        for key in keys:
            picture = align(faces.picture(key), faces.landmarks[key], (112, 112))
            inputs = preprocess([picture], preprocessing)
            for images in (inputs, np.ascontiguousarray(inputs[..., ::-1])):
                session.run(None, {"image": images})

    benchmark.pedantic(extract, rounds=3, warmup_rounds=1)
    assert benchmark.stats is not None
    benchmark.extra_info["images_per_second"] = len(keys) / benchmark.stats.stats.median


@pytest.mark.parametrize("which", NETWORKS)
def test_lfw_from_jpeg_to_score(
    benchmark: BenchmarkFixture, lfw: Path, which: str, tmp_path: Path
) -> None:
    """All 6,000 pairs, flips included, in the fastest runtime, with nothing in the cache."""
    used = network(which, lfw)
    name, weights, preprocessing = NETWORKS[which]
    command = [
        str(Path(sys.executable).with_name("facebench")), "verify", name.format(data=lfw),
        *(["--weights", f"{name}={lfw / weights}"] if weights else []),
        "--mean", ",".join(map(str, preprocessing.mean)),
        "--scale", ",".join(map(str, preprocessing.scale)),
        "--dataset", "lfw", "--data", str(lfw), "--runtime", "fastest", "--json",
    ]  # fmt: skip
    environment = os.environ | {"FACEBENCH_CACHE": str(tmp_path)}
    # Finding the fastest runtime and converting the network is done once, before.
    subprocess.run([*command, "--dataset", "synthetic"], env=environment, check=True)
    done: list[tuple[float, float, str]] = []

    def verify() -> None:
        began = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-c", _MEASURED, *command],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        *_, peak = out.stderr.split()
        done.append((time.perf_counter() - began, float(peak), out.stdout))

    benchmark.pedantic(verify, rounds=1)
    seconds, peak, printed = done[0]
    record = json.loads(printed)[0]
    benchmark.extra_info |= {
        "network": used.name,
        "runtime": record["runtime"],
        "batch": record["batch"],
        "accuracy": record["accuracy"],
        "tar": record["summary"]["tar"],
        "images_per_second": len(DATASETS["lfw"].open(lfw).keys) / seconds,
        "images_per_second_in_the_record": record["images_per_second"],
        "peak_memory_mb": peak / 1024,
    }


# The most that the command and the processes it starts hold together, in kB. `ru_maxrss`
# will not do: it counts what the process held that they were forked from.
_MEASURED = """
import subprocess, sys, psutil
command = subprocess.Popen(sys.argv[1:])
peak = 0
while command.poll() is None:
    try:
        family = psutil.Process(command.pid)
        processes = [family, *family.children(recursive=True)]
        peak = max(peak, sum(p.memory_info().rss for p in processes))
    except psutil.NoSuchProcess:
        pass
    try:
        command.wait(0.2)
    except subprocess.TimeoutExpired:
        pass
print(peak / 1024, file=sys.stderr)
sys.exit(command.returncode)
"""


def test_summarise_six_thousand_pairs(benchmark: BenchmarkFixture) -> None:
    from facebench.harness.records.pair_scores import PairScores

    rng = np.random.default_rng(0)
    same = np.arange(6000) % 600 < 300
    scores = np.clip(rng.normal(0.1 + 0.5 * same, 0.12), -1, 1)
    people = [(i, i if s else 6000 + i) for i, s in enumerate(same)]
    pairs = PairScores.pack(scores, same, np.arange(6000) // 600, people, "")
    benchmark(summarise, pairs)

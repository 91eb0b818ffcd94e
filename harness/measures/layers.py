"""Measures the time of each layer, as ONNX Runtime's own profiler tells it."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.machine import environment
from facebench.harness.measures import deployment as deployments
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.records.layers import LayerTime, LayerTimes
from facebench.harness.records.record import Record

# The runtime whose profiler tells what single layers take.
LAYERS_IN = "onnxruntime"

_WARMUP, _INFERENCES = 10, 50
_SUFFIX = "_kernel_time"


def _obtain(job: Job) -> Outcome:
    if job.case.runtime != LAYERS_IN:
        raise RefusedError(
            f"times of layers are to be had in {LAYERS_IN} alone, not in {job.case.runtime}"
        )
    deployment = deploy(job)
    images = deployment.batch_of_images()
    layers = profile(deployment.artifact.path, images, job.case.threads)
    result = LayerTimes(layers, _INFERENCES)
    return Outcome(result, (), {"artifact_sha256": deployment.digest}, environment.capture())


def profile(path: Path, images: Any, threads: int = 1) -> tuple[LayerTime, ...]:
    """Return the median time of each layer over some inferences, in execution order.

    The profiler takes some time of its own with each layer: the sum is above an inference's
    latency, and shares of small layers are a little too large.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "layers")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: images}
        for _ in range(_WARMUP + _INFERENCES):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            name = event["name"].removesuffix(_SUFFIX)
            times[name, event["args"].get("op_name", "")].append(event["dur"] / 1e3)
    return tuple(
        LayerTime(name, operator, statistics.median(found[_WARMUP:]))
        for (name, operator), found in times.items()
    )


def _summary(record: Record, result: LayerTimes) -> str:
    operator, share = next(iter(result.shares.items()))
    return f"{len(result.layers)} layers, {share:.0%} of their time in {operator}"


# Nothing is compared: times are of one process, and the profiler's own time is in them.
register(
    Measure(
        name="layers",
        about="time of each layer, as ONNX Runtime's own profiler tells it",
        result=LayerTimes,
        obtain=_obtain,
        summary=_summary,
        depends_on=deployments.depends_on,
        stage=2,
        exclusive=True,
        timed=True,
        per=Per.NETWORK,
        runtime=LAYERS_IN,
    )
)

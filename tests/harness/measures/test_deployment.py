"""What is executed for a job, and how its answers are held against torch's."""

import numpy as np
import pytest

from facebench.architectures.errors import RefusedError, UnavailableError, WrongAnswerError
from facebench.harness.measures import deployment
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.throughput import Throughput
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.timing.sampler import Budget
from tests.sampling import today


def job(network: Network, runtime: str = "onnxruntime", batch: int = 1, threads: int = 1) -> Job:
    case = Case(
        "throughput",
        network.name,
        network.weights,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        batch=batch,
        threads=threads,
    )
    return Job(case, network, budget=Budget(0, 0.05))


@pytest.mark.parametrize("batch", [1, 3, 8, 20])
def test_answers_are_checked_at_every_batch(tiny: Network, batch: int) -> None:
    deployed = deploy(job(tiny, batch=batch))
    error, (agreed,) = deployed.check(deployed.open(1).infer)
    assert error < 1e-4
    assert agreed.passed


def test_an_output_of_a_wrong_shape_is_named_not_called_infinite(tiny: Network) -> None:
    deployed = deploy(job(tiny, batch=2))
    with pytest.raises(WrongAnswerError, match=r"shape \(1, 16\) for 2 images, not \(2, 8\)"):
        deployed.check(lambda images: np.ones((1, 16), np.float32))


def test_a_wrong_answer_gives_no_figure(tiny: Network) -> None:
    deployed = deploy(job(tiny))
    session = deployed.open(1).infer
    with pytest.raises(WrongAnswerError, match="so no figure is taken from it"):
        deployed.check(lambda images: session(images) * np.float32(1.001))


@pytest.mark.parametrize("runtime", today(installed(), 3))
def test_throughput_is_counted_over_windows(tiny: Network, runtime: str) -> None:
    batch = 2 if RUNTIMES[runtime].batches else 1
    outcome = MEASURES["throughput"].obtain(job(tiny, runtime, batch=batch, threads=2))
    assert isinstance(outcome.result, Throughput)
    assert len(outcome.result.rates) >= 6  # an interval of 95 % takes as many
    assert len(outcome.result.reference_us) == len(outcome.result.rates) + 1
    assert min(outcome.result.rates) <= outcome.result.images_per_second
    assert min(outcome.result.rates) > 0


def test_a_batch_of_a_runtime_that_takes_one_image_at_a_time_is_refused(tiny: Network) -> None:
    with pytest.raises(RefusedError, match="a batch of 4 is 4 inferences and no batch"):
        MEASURES["throughput"].obtain(job(tiny, "ncnn", batch=4))


def test_a_runtime_that_is_not_installed_is_named(
    tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(RUNTIMES["ncnn"]), "installed", lambda runtime: False)
    with pytest.raises(UnavailableError, match="runtime ncnn is not installed"):
        deploy(job(tiny, "ncnn"))


def test_int8_depends_on_the_faces_it_is_calibrated_on(tiny: Network) -> None:
    case = Case("latency", tiny.name, tiny.weights, "int8", "onnxruntime", calibration="synthetic")
    with_faces = deployment.depends_on(Job(case, tiny, calibration="synthetic"))
    assert with_faces[-1]
    assert with_faces != deployment.depends_on(Job(case, tiny))

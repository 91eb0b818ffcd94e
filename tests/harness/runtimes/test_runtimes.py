"""Every registered runtime answers as torch does, for any batch and thread count."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facebench.architectures import registry
from facebench.architectures.errors import (
    BadInputError,
    UnavailableError,
    UnknownNameError,
    WrongAnswerError,
)
from facebench.harness.machine.processes import thread_variables
from facebench.harness.measures.deployment import Deployment, deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models import export
from facebench.harness.models.answers import RUNTIME_TOLERANCE, relative_error
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.runtimes import ncnn_cpu, session
from facebench.harness.runtimes.registry import RUNTIMES, Runtime, installed
from facebench.harness.timing.sampler import MINIMUM_SAMPLES, Budget
from tests.sampling import covering, large, today, turn


def usable(name: str) -> Runtime:
    found = RUNTIMES[name]
    if not found.installed():
        pytest.skip(f"{found.name} is not installed: {found.install}")
    return found


@pytest.fixture(params=RUNTIMES.names())
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return usable(request.param)


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (4, 1), (2, 2)])
def test_a_runtime_agrees_with_torch(
    runtime: Runtime, batch: int, threads: int, tiny_exported: Exported
) -> None:
    session = runtime.open(runtime.prepare(tiny_exported, batch, "host").path, threads)
    inputs, expected = tiny_exported.reference()
    found = session(inputs[:batch])
    assert found.dtype == np.float32
    assert relative_error(found, expected[:batch]) < RUNTIME_TOLERANCE


def test_a_session_keeps_no_state_between_inferences(
    runtime: Runtime, tiny_exported: Exported
) -> None:
    session = runtime.open(runtime.prepare(tiny_exported, 1, "host").path, 1)
    inputs, _ = tiny_exported.reference()
    first = session(inputs[:1]).copy()
    session(inputs[1:2])
    np.testing.assert_array_equal(session(inputs[:1]), first)


# EdgeFace's and KANFace's first attention is shifted by a table of positions; SwiftFaceFormer's
# divides by lengths.
NOT_NCNN = (
    "edgeface_xs", "edgeface_s", "edgeface_xxs", "edgeface_base", "kanface_06_25",
    "swiftfaceformer_s",
)  # fmt: skip
# Their activations are off by more than rounding explains.
NOT_MNN = (*NOT_NCNN, "facelivt_s", "facelivt_m", "facelivtv2_s")
# Windows beside each other are gathered by tables of places.
NOT_LITERT = ("deepface", "deepid2_plus")
REFUSED = (
    {(name, "ncnn"): "ncnn has no layer for pnnx.Expression" for name in NOT_NCNN}
    | {(name, "mnn"): f"mnn on {name} in fp32 differs from the network itself" for name in NOT_MNN}
    | {(name, "litert"): "LiteRT has no operator for Gather of places" for name in NOT_LITERT}
)


@pytest.mark.parametrize(
    ("name", "of"),
    # The quick tests export and trace others.
    covering(
        registry.mobile_names(),
        [name for name in RUNTIMES.names() if name != "tvm"],
        of_first=slice(turn(2), None, 6),
    )
    # TVM takes up to a minute for a network: the quick tests give it one.
    + [
        pytest.param(name, "tvm", marks=() if name == "mobilefacenet" else pytest.mark.slow)
        for name in registry.mobile_names()
    ]
    + large(["onnxruntime", "openvino", "ncnn", "litert"]),
)
def test_every_network_agrees_with_torch_in_every_runtime_or_is_refused(name: str, of: str) -> None:
    runtime = usable(of)
    if reason := REFUSED.get((name, runtime.name)):
        with pytest.raises((BadInputError, WrongAnswerError), match=reason):
            checked(deploy(job(resolve(name), runtime.name)))
        return
    assert checked(deploy(job(resolve(name), runtime.name))) < RUNTIME_TOLERANCE


def checked(deployment: Deployment) -> float:
    return deployment.check(deployment.open(1).infer)[0]


def job(network: Network, runtime: str) -> Job:
    target = "host" if runtime == "tvm" else ""
    case = Case("latency", network.name, network.weights, runtime=runtime, target=target)
    return Job(case, network, budget=Budget(0.2, 0.01))


@pytest.mark.parametrize("name", today(installed(), 3))
def test_latency_comes_with_samples_warm_up_and_checks(name: str, tiny: Network) -> None:
    outcome = MEASURES["latency"].obtain(job(tiny, name))
    result = outcome.result
    assert isinstance(result, Latency)
    assert len(result.samples_ms) >= MINIMUM_SAMPLES
    assert len(result.warmup_ms) > 0
    assert result.minimum_ms > 0
    assert result.output_error < RUNTIME_TOLERANCE
    assert result.label == ""
    assert outcome.checks[0].passed
    assert len(outcome.provenance["artifact_sha256"]) == 32


@pytest.mark.parametrize("name", today(installed(), 3))
def test_a_wrong_answer_is_never_timed(
    name: str, tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Exported.reference

    def slightly_off(exported: Exported) -> tuple[export.FloatArray, export.FloatArray]:
        inputs, outputs = reference(exported)
        return inputs, outputs * np.float32(1.001)

    def timed(*arguments: object) -> None:
        raise AssertionError("a wrong answer was timed")

    monkeypatch.setattr(Exported, "reference", slightly_off)
    monkeypatch.setattr(session, "sample", timed)
    with pytest.raises(WrongAnswerError, match="differs from the network itself by .*no figure"):
        MEASURES["latency"].obtain(job(tiny, name))


def test_an_unknown_runtime_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean onnxruntime"):
        RUNTIMES["onnx_runtime"]


def test_a_runtime_that_is_not_installed_names_the_command() -> None:
    absent = Runtime("absent", ("no-such-module",), _never, _never, "pip install absent")
    assert not absent.installed()
    with pytest.raises(UnavailableError, match="'pip install absent' installs it"):
        absent.require()


def _never(*arguments: object) -> None:  # type: ignore[misc]
    raise AssertionError


def test_what_is_installed_is_listed_in_the_order_of_registration() -> None:
    assert installed() == [name for name in RUNTIMES.names() if RUNTIMES[name].installed()]


def test_ncnn_files_that_cannot_be_made_are_named(tmp_path: Path) -> None:
    (tmp_path / "network.pt").write_bytes(b"not TorchScript")
    (tmp_path / "facts.json").write_text('{"input_size": [16, 16], "from_onnx": false}')
    with pytest.raises(WrongAnswerError, match="pnnx cannot convert"):
        RUNTIMES["ncnn"].prepare(Exported(tmp_path), 1, "host")


def test_a_layer_that_ncnn_lacks_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    text = "7767517\n2 2\nInput in0 0 1 in0\nGatherND gather 1 1 in0 out0\n"
    (tmp_path / "network.ncnn.param").write_text(text)
    (tmp_path / "network.ncnn.bin").touch()
    with pytest.raises(BadInputError, match="ncnn has no layer for GatherND: time this network"):
        ncnn_cpu._require_no_crash(tmp_path, 8, 8)


@pytest.mark.parametrize("package", sorted({r.packages[0] for r in RUNTIMES if r.survives_fork}))
def test_a_runtime_that_survives_a_fork_has_one_thread_once_it_is_imported(package: str) -> None:
    name = next(one.name for one in RUNTIMES if one.packages[0] == package)
    usable(name)
    code = (
        "import os; from facebench.harness.runtimes.registry import RUNTIMES; "
        f"RUNTIMES[{name!r}].load(); print(len(os.listdir('/proc/self/task')))"
    )
    variables = os.environ | thread_variables(1)
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"

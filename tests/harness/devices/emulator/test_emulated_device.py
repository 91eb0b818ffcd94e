"""The emulated device, from a network to its counts; skipped where it is not set up."""

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import facebench
from facebench.architectures.errors import RefusedError, UnavailableError, UnknownNameError
from facebench.harness.devices.emulator import counters
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine.cores import CORES
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, kind_of
from facebench.harness.models.networks import Network, resolve
from facebench.harness.records.case import Case
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.runtimes import ncnn_half, onnxruntime_cpu
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.stats.arrays import FloatArray
from tests.depthwise import SIZE, written
from tests.harness.conftest import write_onnx
from tests.sampling import today

# Three convolutions: 3x3 of three channels to eight, 3x3 of each, 8x8 of all. Of their
# taps in a row of eight outputs, one or two of 24 fall on padding and may be left out.
TINY_MADDS = 23 * 23 * 3 * 8 + 22 * 22 * 8 + 8 * 8 * 64

AARCH64 = [core.name for core in CORES if core.figures]


def job(
    network: Network, runtime: str, core: str = "cortex-a72", measure: str = "instructions"
) -> Job:
    case = Case(
        measure,
        network.name,
        network.weights,
        runtime=runtime,
        target=CORES[core].target if runtime == "tvm" else "",
        device=f"emulated:{core}",
    )
    return Job(case, network)


def program_lines(network: Network) -> list[str]:
    path = deploy(job(network, "tvm")).artifact.path / "network.program"
    return path.read_bytes().decode(errors="replace").splitlines()


def counted(wanted: Job) -> Instructions:
    result = MEASURES["instructions"].obtain(wanted).result
    assert isinstance(result, Instructions)
    return result


def require_runtime(runtime: str) -> None:
    """Skip a test of a runtime that is not there, or not in this machine's version."""
    if runtime not in EmulatedLauncher("cortex-a72").runtimes():
        pytest.skip(f"{runtime} is not set up on emulated cores")


@pytest.mark.parametrize(
    "runtime", ["tvm", *today(["ncnn", "onnxruntime", "openvino", "litert"], 2)]
)
def test_an_inference_is_counted_with_its_kernels(
    emulated_here: Emulated, tiny: Network, runtime: str
) -> None:
    require_runtime(runtime)
    found = counted(job(tiny, runtime))
    parts = [kernel.work for kernel in found.kernels]
    assert sum(part.instructions for part in parts) == found.work.instructions
    assert sum(part.bytes_loaded for part in parts) == found.work.bytes_loaded
    assert sum(found.work.mix.values()) == found.work.instructions
    # Each multiply-add of the network is done, of at most four lanes an instruction.
    assert found.work.mix["fma"] >= TINY_MADDS / 4
    assert found.work.cycles
    assert found.output_error < 1e-4
    assert found.label == ""


def test_kernels_of_a_compiled_network_go_by_their_names(
    emulated_here: Emulated, tiny: Network
) -> None:
    found = counted(job(tiny, "tvm"))
    called = {call.split()[1] for call in program_lines(tiny) if call.startswith("call ")}
    assert {kernel.name for kernel in found.kernels[:3]} <= called


def forget_byte_code() -> None:
    """As after a change of what a session imports first and last."""
    for module in (facebench, onnxruntime_cpu):
        Path(importlib.util.cache_from_source(module.__file__ or "")).unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["ncnn", "tvm", "onnxruntime", "openvino", "litert"])
def test_two_runs_of_a_case_execute_the_same_instructions(
    emulated_here: Emulated, tiny: Network, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_runtime(runtime)
    deployment = deploy(job(tiny, runtime))
    counts = []
    for run in range(2):
        if run == 0:
            forget_byte_code()
        monkeypatch.setenv("OF_THE_USER_IN_THIS_RUN", "x" * 100 * run)
        session = deployment.open(1, counting=True)
        counts.append(session.count(deployment.batch_of_images()))
        session.close()
    first, second = (counters.tally(packed, "EM_AARCH64", None)[0] for packed in counts)
    assert first.instructions == second.instructions
    assert first.mix == second.mix


def test_a_core_of_32_bits_runs_what_tvm_compiled(emulated_here: Emulated, tiny: Network) -> None:
    found = counted(job(tiny, "tvm", "cortex-a7"))
    assert found.work.instructions > 0
    assert found.output_error < 1e-4
    with pytest.raises(RefusedError, match=r"no figures of cortex-a7"):
        MEASURES["cycles"].obtain(job(tiny, "tvm", "cortex-a7", "cycles"))
    with pytest.raises(UnavailableError, match="ncnn"):
        counted(job(tiny, "ncnn", "cortex-a7"))


@pytest.mark.slow
def test_ncnns_wrong_kernel_of_half_precision_is_still_wrong_and_gone_round(
    emulated_here: Emulated,
    tmp_path: Path,
) -> None:
    single = written(tmp_path / "single")
    for name in ("half", "wrong"):
        (tmp_path / name).mkdir()
        ncnn_half.write(single, tmp_path / name, (SIZE, SIZE))
    param = tmp_path / "wrong" / ncnn_half.PARAM
    param.write_text(param.read_text().replace(" 31=1", ""))
    images = np.random.default_rng(1).standard_normal((1, 3, SIZE, SIZE), np.float32)

    def computed(name: str) -> FloatArray:
        session = DEVICES["emulated:cortex-a76"].open("ncnn", tmp_path / name, 1)
        try:
            return session.infer(images)
        finally:
            session.close()

    exact = computed("single")
    largest = float(np.abs(exact).max())
    assert np.abs(computed("half") - exact).max() < 5e-3 * largest
    # Where this fails, ncnn's kernel was mended: `ncnn_half` needs to mark no layer any more.
    assert np.abs(computed("wrong") - exact).max() > 0.1 * largest


@pytest.mark.slow
@pytest.mark.parametrize("core", AARCH64)
def test_every_core_has_a_time_that_is_modelled(
    emulated_here: Emulated, tiny: Network, core: str
) -> None:
    wanted = job(tiny, "tvm", core, "cycles")
    outcome = MEASURES["cycles"].obtain(wanted)
    assert isinstance(outcome.result, Cycles)
    assert kind_of(wanted.case) == "modelled"
    assert kind_of(replace(wanted.case, measure="instructions")) == "emulated"
    one = outcome.result.milliseconds["1"]
    assert outcome.result.interval_ms is None  # of TVM no times were published
    cycles = sum(outcome.result.terms.values())
    assert one == pytest.approx(cycles / outcome.result.frequency_hz * 1e3, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "litert"])
def test_a_time_of_a_runtime_that_was_not_validated_has_no_interval(
    emulated_here: Emulated, tiny: Network, runtime: str
) -> None:
    require_runtime(runtime)
    outcome = MEASURES["cycles"].obtain(job(tiny, runtime, measure="cycles"))
    assert isinstance(outcome.result, Cycles)
    assert outcome.result.interval_ms is None
    package = RUNTIMES[runtime].packages[0]
    assert f"{runtime} {emulated_here.versions[package]}" in outcome.result.sentence()


@pytest.mark.slow
def test_the_embeddings_of_100_images_agree_with_torch(
    emulated_here: Emulated, tiny: Network
) -> None:
    import torch

    for runtime, core in [("tvm", "cortex-a72"), ("ncnn", "cortex-a72"), ("tvm", "cortex-a7")]:
        deployment = deploy(job(tiny, runtime, core))
        height, width = deployment.input_size
        images = np.random.default_rng(0).standard_normal((100, 3, height, width), np.float32)
        session = deployment.open(1)
        found = np.concatenate([session.infer(images[i : i + 1]) for i in range(100)])
        session.close()
        with torch.inference_mode():
            expected = deployment.exported.module()(torch.from_numpy(images)).numpy()
        cosine = (found * expected).sum(axis=1) / (
            np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        )
        assert (1 - cosine).max() < 1e-4


@pytest.mark.parametrize("runtime", today(["ncnn", "litert", "tvm"], 2))
def test_fp16_is_half_precision_on_a_core_that_has_it(
    emulated_here: Emulated, runtime: str, tmp_path: Path
) -> None:
    require_runtime(runtime)
    # As many channels as fill the vectors of either precision.
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.PReLU(32), nn.Conv2d(32, 32, 3, 1, 1, groups=32),
        nn.Conv2d(32, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 8),
    )  # fmt: skip
    network = resolve(f"onnx:{write_onnx(wide, tmp_path / 'wide.onnx')}")
    single, half = (
        counted(replace(one, case=replace(one.case, precision=precision)))
        for precision in ("fp32", "fp16")
        for one in [job(network, runtime, "cortex-a76")]
    )
    # Twice the lanes; and rounding that is seen, but no more than that.
    assert half.work.mix["fma"] < 0.7 * single.work.mix["fma"]
    assert 1e-5 < half.output_error < 2e-2
    without = job(network, runtime)
    with pytest.raises(RefusedError, match="fp16 on CPUs that have fullfp16 alone"):
        counted(replace(without, case=replace(without.case, precision="fp16")))


def test_time_of_an_emulator_is_refused(emulated_here: Emulated, tiny: Network) -> None:
    with pytest.raises(RefusedError, match="emulator's time says nothing"):
        MEASURES["latency"].obtain(job(tiny, "tvm", measure="latency"))


def test_more_threads_are_modelled_and_not_counted(emulated_here: Emulated, tiny: Network) -> None:
    wanted = job(tiny, "tvm")
    with pytest.raises(RefusedError, match="--threads 1"):
        MEASURES["instructions"].obtain(replace(wanted, case=replace(wanted.case, threads=4)))


def test_a_core_that_is_unknown_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean .*cortex-a72"):
        DEVICES["emulated:cortex-a27"]


def test_without_a_set_up_the_command_is_named(tiny: Network) -> None:
    with pytest.raises(UnavailableError, match="facebench device setup-emulated"):
        MEASURES["instructions"].obtain(job(tiny, "ncnn"))


def test_tvms_half_precision_has_the_same_bits_here_and_there(
    emulated_here: Emulated, tiny: Network
) -> None:
    """There it is the core's own, here it is computed in single precision."""
    images, expected = deploy(job(tiny, "tvm")).exported.reference()
    answers = []
    for device, target in (("local", "host"), ("emulated:cortex-a76", "cortex-a76")):
        wanted = job(tiny, "tvm", "cortex-a76")
        case = replace(wanted.case, device=device, target=target, precision="fp16")
        with contextlib.closing(deploy(replace(wanted, case=case), timed=False).open(1)) as session:
            answers.append(session.infer(images[:1]))
    here, there = answers
    np.testing.assert_array_equal(here, there)
    assert 0 < np.abs(here - expected[:1]).max() < 1e-2 * np.abs(expected).max()

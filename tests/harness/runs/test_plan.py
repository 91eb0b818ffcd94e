"""A plan expands to cases; whatever is wrong in it is named before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, FacebenchError, UnknownNameError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.runs import plan
from facebench.harness.runs.plan import BUILT_IN, Plan
from facebench.harness.runtimes.registry import installed
from facebench.harness.storage import shipped
from facebench.harness.timing.sampler import Budget
from tests.harness.models.onnx_forms import Form
from tests.harness.models.onnx_forms import write as write_network


def write(folder: Path, text: str) -> str:
    path = folder / "plan.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.toml")))
def test_built_in_plans_expand(name: str) -> None:
    assert plan.jobs(plan.load(name), None)


def test_the_main_job_is_every_network_of_the_paper_in_every_runtime_for_here_and_for_arm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FACEBENCH_DATA", raising=False)
    cases = [job.case for job in plan.jobs(plan.load("paper"), None)]
    count = len(registry.paper_names())
    by_measure = {m: [c for c in cases if c.measure == m] for m in {c.measure for c in cases}}
    assert len(by_measure["export"]) == len(by_measure["cost"]) == count
    arm = {one.name for one in TARGETS if one.elf_machine in ("EM_AARCH64", "EM_ARM")}
    assert {case.target for case in by_measure["compile"]} == {"host", *arm}
    assert len(by_measure["compile"]) == count * len({"host", *arm})
    assert len(by_measure["latency"]) == count * len(installed())
    assert len(by_measure["layers"]) == count
    assert len(by_measure["fields"]) == len(set(registry.paper_names()) & set(shipped.weights()))
    assert {c.dataset for c in by_measure["accuracy"]} == {"synthetic"}
    assert len({case.key for case in cases}) == len(cases)


def test_the_plans_of_here_arm_and_x86_compile_for_every_target_together() -> None:
    names = ("paper", "arm", "x86")
    cases = [job.case for name in names for job in plan.jobs(plan.load(name), None)]
    assert {case.target for case in cases if case.measure == "compile"} == set(TARGETS.names())


def test_a_plan_of_ones_own(tmp_path: Path) -> None:
    text = """
        networks = ["mobilenet_v2", "timm:resnet18:gap"]
        runtimes = ["onnxruntime"]
        threads = [1, 2]
        targets = []
        datasets = []
        sampling_s = 3
        processes = 5
        known_to = 0.01
        pin = false
    """
    jobs = plan.jobs(plan.load(write(tmp_path, text)), None)
    latencies = [job for job in jobs if job.case.measure == "latency"]
    assert [job.case.threads for job in latencies] == [1, 2, 1, 2]
    assert {job.case.network for job in jobs} == {"mobilenet_v2", "timm:resnet18:gap"}
    budget = Budget(sampling_s=3, processes=5, known_to=0.01, pin=False)
    assert {job.budget for job in latencies} == {budget}


def test_precisions_are_asked_of_the_runtimes_that_run_them(tmp_path: Path) -> None:
    text = """
        networks = ["mobilenet_v2"]
        runtimes = ["onnxruntime", "ncnn"]
        precisions = ["fp32", "int8"]
        targets = []
        verify_with = "onnxruntime"
    """
    cases = [job.case for job in plan.jobs(plan.load(write(tmp_path, text)), None)]
    asked = [(c.measure, c.runtime, c.precision, c.calibration) for c in cases[2:]]
    assert asked == [
        ("latency", "onnxruntime", "fp32", ""),
        ("latency", "onnxruntime", "int8", "synthetic"),
        ("latency", "ncnn", "fp32", ""),
        ("accuracy", "onnxruntime", "fp32", ""),
        ("accuracy", "onnxruntime", "int8", "synthetic"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network = ['a']", "unknown key 'network': did you mean networks"),
        ("networks = 'some'", "networks = 'some' is not valid: a list of names"),
        ("precisions = ['fp8']", "unknown precision 'fp8'"),
        ("threads = [0]", "threads = .0. is not valid"),
        ("threads = [true]", "threads = .True. is not valid"),
        ("sampling_s = -1", "sampling_s = -1 is not valid"),
        ("processes = 0", "processes = 0 is not valid: a whole number from 1"),
        ("known_to = 2", "known_to = 2 is not valid: a share of the median"),
        ("pin = 'no'", "pin = 'no' is not valid: true or false"),
        ("weights = 3", "weights = 3 is not valid"),
        ("networks = [", "is no plan that can be read"),
        ("networks = ['mobilefacenet_z']", "unknown network 'mobilefacenet_z': did you mean"),
        ("runtimes = ['onnx']", "unknown runtime 'onnx'"),
        ("targets = ['cortex-a71']", "unknown target 'cortex-a71'"),
        ("datasets = ['lfv']", "unknown dataset 'lfv': did you mean lfw"),
        ("verify_with = 'tensorflow'", "unknown runtime 'tensorflow'"),
        ("[weights]\nmobilefacenet = 'none.pth'", "cannot read .*none.pth"),
        ("[sizes]\n'onnx:none.onnx' = '112x112'", "sizes. names 'onnx:none.onnx', which is no"),
        ("[outputs]\nmobilefacenet = 'y'", "outputs. names 'mobilefacenet', which is no ONNX"),
        (
            "networks = ['onnx:none.onnx']\n[sizes]\n'onnx:none.onnx' = 'large'",
            "sizes. onnx:none.onnx = 'large' is not valid: give HEIGHTxWIDTH",
        ),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match=message):
        plan.jobs(plan.load(write(tmp_path, text)), None)


def test_a_plan_that_is_not_there_is_answered_with_the_built_in_ones() -> None:
    with pytest.raises(UnknownNameError, match="no plan 'nightly'.*paper, quick"):
        plan.load("nightly")


def test_bytes_that_are_no_text_are_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="no plan that can be read"):
        plan.load(str(tmp_path / "plan.toml"))


def test_weights_are_relative_to_the_plan_and_others_are_shipped_or_random(tmp_path: Path) -> None:
    (tmp_path / "own.pth").write_bytes(b"own")
    text = """
        networks = ["mobilefacenet", "mobilenet_v2", "timm:ghostnet_100:gap"]
        weights_otherwise = "shipped"
        [weights]
        mobilefacenet = "own.pth"
    """
    jobs = plan.jobs(plan.load(write(tmp_path, text)), None)
    weights = {job.network.name: (job.network.path, job.network.weights) for job in jobs}
    assert weights["mobilefacenet"][0] == tmp_path / "own.pth"
    assert weights["mobilenet_v2"][0] == shipped.weights()["mobilenet_v2"]
    assert weights["timm:ghostnet_100:gap"] == (None, "random:0")


def test_an_onnx_file_of_a_free_size_and_several_outputs_can_be_in_a_plan(tmp_path: Path) -> None:
    name = f"onnx:{write_network(Form(free_size=True, others=('minus',)), tmp_path / 'net.onnx')}"
    text = f"""
        networks = ["{name}"]
        runtimes = ["onnxruntime"]
        targets = []
        datasets = []
        [sizes]
        "{name}" = "16x16"
        [outputs]
        "{name}" = "minus"
    """
    jobs = plan.jobs(plan.load(write(tmp_path, text)), None)
    assert {(job.network.size, job.network.output) for job in jobs} == {((16, 16), "minus")}
    assert {job.case.network for job in jobs} == {"onnx:net.onnx@minus@16x16"}


def test_a_fingerprint_moves_with_what_a_result_depends_on() -> None:
    base = Plan(["mobilefacenet"], ["onnxruntime"], targets=["cortex-a72"])

    def prints(one: Plan) -> dict[str, str]:
        return {str(job.case): job.fingerprint for job in plan.jobs(one, None)}

    again = prints(base)
    assert again == prints(base)
    for other in (replace(base, sampling_s=9.0), replace(base, processes=5)):
        changed = prints(other)
        moved = {case for case in again if again[case] != changed[case]}
        assert moved == {case for case in again if case.startswith("latency")}


def test_weights_may_come_from_a_seed(tmp_path: Path) -> None:
    text = """
        networks = ["mobilefacenet_s"]
        runtimes = []
        targets = []
        datasets = []
        devices = []
        [weights]
        mobilefacenet_s = "random:7"
    """
    jobs = plan.jobs(plan.load(write(tmp_path, text)), None)
    assert {job.case.weights for job in jobs} == {"random:7"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("networks = [" + '"mobilefacenet", ' * 2_001 + "]", "2,001 networks"),
        (
            'networks = ["mobilefacenet"]\nruntimes = [' + '"ncnn", ' * 2_000 + "]\n"
            "threads = [" + "1, " * 2_000 + "]",
            "more than 50,000 cases",
        ),
    ],
)
def test_a_plan_that_nobody_means_is_refused_before_it_takes_the_machine(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "large.toml").write_text(text + "\ntargets = []\ndatasets = []\n")
    with pytest.raises(BadInputError, match=words):
        plan.jobs(plan.load(str(tmp_path / "large.toml")), None)


def test_what_a_first_report_needs_comes_first_and_other_targets_come_last() -> None:
    arm, here = "cortex-a53", "host"
    chosen = Plan(
        ["mobilefacenet", "mobilenet_v2"],
        ["ncnn", "tvm"],
        targets=[here, arm],
        layers=True,
        first=["mobilefacenet"],
    )
    jobs = plan.jobs(chosen, None)
    phases = [{(j.case.measure, j.case.network, j.case.target) for j in jobs if j.phase == phase}
              for phase in range(3)]  # fmt: skip
    one, other = "mobilefacenet", "mobilenet_v2"
    costs = {("cost", one, ""), ("cost", other, "")}
    assert phases[0] == {*costs, ("export", one, ""), ("compile", one, here)}
    times = {("latency", n, t) for n in (one, other) for t in ("", here)}
    layers = {("layers", one, ""), ("layers", other, "")}
    assert phases[1] == {*times, *layers, ("export", other, ""), ("compile", other, here)}
    scores = {("accuracy", one, ""), ("accuracy", other, "")}
    assert phases[2] == {*scores, ("compile", one, arm), ("compile", other, arm)}
    ahead = {j.case.network: j.budget.ahead for j in jobs if j.case.measure == "latency"}
    assert ahead == {one: 3, other: 0}


def test_without_a_first_report_all_is_one_phase() -> None:
    assert {job.phase for job in plan.jobs(plan.load("quick"), None)} == {0}


def test_of_one_process_a_case_the_first_report_takes_the_times_themselves() -> None:
    chosen = Plan(["mobilefacenet"], ["ncnn"], targets=[], processes=1, first=["mobilefacenet"])
    (timed,) = [j for j in plan.jobs(chosen, None) if j.case.measure == "latency"]
    assert (timed.phase, timed.budget.ahead) == (0, 0)


def test_a_first_network_that_the_plan_lacks_is_named() -> None:
    with pytest.raises(BadInputError, match="first = 'mobilenet_v2' is none of the plan's"):
        plan.jobs(Plan(["mobilefacenet"], first=["mobilenet_v2"]), None)

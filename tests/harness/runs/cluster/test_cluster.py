"""The same records on a Ray cluster as here, and with nodes killed in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from facebench.architectures.errors import BadInputError, LostError, UnavailableError
from facebench.harness.measures.job import Job
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store, latest
from facebench.harness.runs.checkpoints import Checkpoints
from facebench.harness.runs.cluster import alike as likeness
from facebench.harness.runs.cluster import engine, machines
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.runs.cluster.machines import Machine
from facebench.harness.runs.cluster.timing_machine import TimingMachine
from facebench.harness.runs.rounds import NOBODY
from facebench.harness.runs.runner import Watch
from facebench.harness.verification.alignment import template
from tests.faults.trials import figures
from tests.harness.command_line import facebench
from tests.harness.conftest import tiny_module, write_onnx
from tests.harness.measures.times import noise, process
from tests.harness.runs.test_estimate import job
from tests.harness.training.small import write_people

PLAN = """
networks = {networks}
runtimes = ["onnxruntime"]
targets = ["cortex-a72"]
datasets = []
sampling_s = 0.2
processes = 2
known_to = 1.0
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> dict[str, str]:
    own = empty_cache(tmp_path_factory.mktemp("own") / "cache", cache_folder)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return os.environ | {"FACEBENCH_CACHE": str(own), "RAY_USAGE_STATS_ENABLED": "0"}


def empty_cache(folder: Path, cache_folder: Path) -> Path:
    """A cache that holds which networks there are alone: torch is imported to find that out."""
    shutil.copytree(cache_folder / "networks", folder / "networks")
    return folder


@contextlib.contextmanager
def cluster(cache: object, cores: int = 1, workers: int = 3, head: int = 0) -> Iterator[Any]:
    """A cluster whose nodes have a cache: its head, with cores or without, and its workers."""
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(cache))
        made = utils.Cluster(
            initialize_head=True, head_node_args={"num_cpus": head, "include_dashboard": False}
        )
        for _ in range(workers):
            made.add_node(num_cpus=cores)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def nodes(environment: dict[str, str]) -> Iterator[Any]:
    """A cluster that tests share; they leave it as it is."""
    with cluster(environment["FACEBENCH_CACHE"], workers=1, head=1) as made:
        yield made


@pytest.fixture
def own_nodes(environment: dict[str, str]) -> Iterator[Any]:
    """A cluster to which nodes may be added, and whose nodes may be killed."""
    with cluster(environment["FACEBENCH_CACHE"]) as made:
        yield made


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two networks that export and compile in a moment."""
    folder = tmp_path_factory.mktemp("networks")
    paths = [write_onnx(tiny_module(seed), folder / f"{seed}.onnx") for seed in range(2)]
    return PLAN.format(networks=json.dumps([f"onnx:{path}" for path in paths]))


def start(
    folder: Path, environment: dict[str, str], plan: str, *options: str
) -> subprocess.Popen[str]:
    path = folder / "plan.toml"
    folder.mkdir(exist_ok=True)
    path.write_text(plan)
    command = [
        sys.executable,
        "-m",
        "facebench",
        "run",
        str(path),
        "-o",
        str(folder),
    ]
    return subprocess.Popen(
        [*command, *options],
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def records(folder: Path) -> list[Record]:
    return latest(Store(folder / RECORDS).read())


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], plan: str
) -> dict[str, str]:
    """The figures of a run on this machine alone."""
    folder = tmp_path_factory.mktemp("here")
    run = start(folder, environment, plan)
    _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return figures(records(folder))


def test_records_on_two_nodes_equal_those_of_one_machine(
    tmp_path: Path,
    environment: dict[str, str],
    plan: str,
    here: dict[str, str],
    nodes: Any,
    cache_folder: Path,
) -> None:
    own = environment | {"FACEBENCH_CACHE": str(empty_cache(tmp_path / "cache", cache_folder))}
    run = start(tmp_path / "out", own, plan, "--cluster", nodes.address)
    _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    assert "2 machines, 2 cores" in said
    assert figures(records(tmp_path / "out")) == here
    # A second run finds all of it.
    again = start(tmp_path / "out", own, plan, "--cluster", nodes.address)
    _, said = again.communicate(timeout=600)
    assert again.returncode == 0
    assert "[1/" not in said


@pytest.mark.slow
def test_nodes_that_are_killed_in_the_middle_lose_nothing(
    tmp_path: Path, environment: dict[str, str], plan: str, here: dict[str, str], own_nodes: Any
) -> None:
    own = environment | {"FACEBENCH_CACHE": str(tmp_path / "cache")}
    run = start(tmp_path / "out", own, plan, "--cluster", own_nodes.address)
    assert run.stderr is not None
    said = []
    # One before anything is timed, one in the middle of that.
    marks = ["[5/", "[1/"]
    for line in run.stderr:
        said.append(line)
        if marks and line.startswith(marks[-1]):
            marks.pop()
            workers = [node for node in own_nodes.list_all_nodes() if node != own_nodes.head_node]
            own_nodes.remove_node(workers[0], allow_graceful=False)
    assert run.wait(600) == 0, "".join(said)
    assert figures(records(tmp_path / "out")) == here


@pytest.mark.slow
def test_a_board_is_used_from_the_machine_that_names_it_as_a_resource(
    tmp_path: Path, environment: dict[str, str], plan: str, own_nodes: Any
) -> None:
    command = [sys.executable, "-m", "facebench", "device", "serve", "--port", "0"]
    server = subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE)
    try:
        assert server.stderr is not None
        # serving this machine on HOST:PORT
        device = f"rpc://{server.stderr.readline().split()[-1]}"
        own_nodes.add_node(num_cpus=1, resources={device: 1})
        text = plan.replace('["cortex-a72"]', "[]") + f'devices = ["{device}"]\n'
        run = start(tmp_path, environment, text, "--cluster", own_nodes.address)
        _, said = run.communicate(timeout=300)
    finally:
        server.kill()
        server.wait()
    assert run.returncode == 0, said
    found = [record for record in records(tmp_path) if record.case.measure == "latency"]
    assert {(record.case.device, record.status) for record in found} == {(device, "ok")}
    assert len(found) == 2


SMALL = """
from torch import nn
from facebench.architectures.registry import register

@register("small", reference="a test", embedding_size=16)
def _network():
    return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(392, 16))
"""


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A search among 4,200 distractors, three blocks; a network, with weights and a plan."""
    rng = np.random.default_rng(0)
    points = (template((112, 112)) / 3.5).ravel().tolist()
    columns = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    header = ",".join(["image", *(f"{name}_{axis}" for name in columns for axis in "xy")])
    folders = {"probes": [f"{who}/{i}.png" for who in "ab" for i in range(2)]}
    folders["others"] = [f"{i:04}.png" for i in range(4200)]
    for folder, names in folders.items():
        lines = [header]
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
            lines.append(",".join([name, *(f"{value:.3f}" for value in points)]))
        (tmp_path / folder / "landmarks.csv").write_text("\n".join(lines))
    (tmp_path / "small.py").write_text(SMALL)
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(392, 16)
    )  # as in SMALL
    save_file(layers.state_dict(), tmp_path / "small.safetensors")
    return tmp_path


@pytest.mark.slow
def test_a_search_is_shared_by_machines_and_equals_that_of_one(
    crowd: Path,
) -> None:
    plan = f"""
networks = ["small"]
runtimes = []
targets = []
datasets = ["search:{crowd}/probes::{crowd}/others"]
verify_with = "onnxruntime"
[weights]
small = "{crowd}/small.safetensors"
"""
    own = os.environ | {"FACEBENCH_NETWORKS": str(crowd / "small.py")}

    def found(name: str, own: dict[str, str], *options: str) -> dict[str, str]:
        own = own | {"FACEBENCH_CACHE": str(crowd / f"cache-{name}")}
        run = start(crowd / name, own, plan, *options)
        _, said = run.communicate(timeout=300)
        assert run.returncode == 0, said
        return figures(records(crowd / name))

    alone = found("alone", own)
    with cluster(crowd / "cache-workers", cores=2) as nodes:
        own |= {"FACEBENCH_STORE": str(crowd / "store")}
        assert found("shared", own, "--cluster", nodes.address) == alone
    assert sum("Identification(" in text for text in alone.values()) == 1
    # A shard for each block, found by the search that joins them.
    assert len(list((crowd / "store" / "search").glob("*.tar"))) == 3
    assert len(list((crowd / "store" / "embeddings").glob("*.tar"))) == 4


@pytest.mark.slow
def test_machines_share_the_tuning_and_one_keeps_the_records(
    tiny_onnx: Path, tmp_path: Path, environment: dict[str, str], nodes: Any
) -> None:
    own = environment | {"FACEBENCH_TUNING": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "facebench",
        "tune",
        f"onnx:{tiny_onnx}",
        "--json",
    ]
    command += ["--target", "host", "--trials", "1", "--cluster", nodes.address]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)
    assert (summary["tuned"], summary["failures"]) == (3, [])
    assert len(Path(summary["path"]).read_text().splitlines()) == 3


TWO_SMALL = (
    SMALL
    + """
@register("smaller", reference="a test", embedding_size=8)
def _smaller():
    return nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(196, 8))
"""
)


@pytest.mark.slow
def test_machines_share_the_training(
    tmp_path: Path, environment: dict[str, str], nodes: Any
) -> None:
    (tmp_path / "small.py").write_text(TWO_SMALL)
    write_people(tmp_path / "faces", people=4, images=4)
    (tmp_path / "quick.toml").write_text('loss = "arcface"\nbatch = 8\nepochs = 1\n')
    own = environment | {"FACEBENCH_NETWORKS": str(tmp_path / "small.py")}
    command = [
        sys.executable,
        "-m",
        "facebench",
        "train",
        "small",
        "smaller",
        "--json",
    ]
    command += ["--data", "faces", "--recipe", "quick.toml", "-o", "out"]
    done = subprocess.run(
        [*command, "--cluster", nodes.address],
        cwd=tmp_path,
        env=own,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = [one["run"]["network"] for one in json.loads(done.stdout)]
    assert found == ["small", "smaller"]
    assert len(list((tmp_path / "out").glob("*/seed0/weights.safetensors"))) == 2
    wrong = subprocess.run(
        [*command, "--cluster", nodes.address, "--without", "nowhere.csv"],
        cwd=tmp_path,
        env=own,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert wrong.returncode == 2
    assert "nowhere.csv" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_no_cluster_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    assert facebench("run", "quick", "--cluster", "127.0.0.1:1") == 2
    said = capfd.readouterr().err
    assert "no Ray cluster at '127.0.0.1:1'" in said
    assert "Traceback" not in said


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match=r"pip install 'facebench\[cluster\]'"):
        machines.import_ray()


ONE, TWO, THREE = (
    Machine(f"node-{name}", name, 2, frozenset()) for name in ("one", "two", "three")
)


def test_a_machine_with_another_facebench_is_named() -> None:
    with pytest.raises(BadInputError, match="^two has no facebench, or another one"):
        machines.require_same([(ONE, machines.version()), (TWO, "another")])


class Chair(TimingMachine):
    """A timing machine without Ray, on a machine that answers so many jobs before it is lost."""

    def __init__(self, lab: Lab, machine: Machine) -> None:
        self.machine = machine
        self.lab = lab

    def perform(self, job: Job) -> Record:
        name = self.machine.name
        if not self.lab.lives[name]:
            raise LostError(f"the machine {name} was lost")
        self.lab.lives[name] -= 1
        self.lab.asked.append((name, job.case.network))
        ms = self.lab.speeds.get(name, 10.0)
        result = process(noise(ms, job.process))
        return Record(job.case, "measured", "ok", result, fingerprint=job.fingerprint)

    def release(self) -> None:
        pass


class Lab(Cluster):
    """A cluster without Ray; machines can differ in speed."""

    def __init__(self, lives: dict[str, int], identical: Sequence[str] = ()) -> None:
        self.machines = [ONE, TWO]
        self.lives = lives
        self.speeds: dict[str, float] = {}
        self.prints: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.ray = self  # all that is asked of Ray here is timing machines
        self.timing_machine = Chair(self, ONE)
        self._alike = machines.named(self.machines, identical)
        self._say = self.said.append
        self._lost = set()

    def _choose(self, known: Sequence[Record]) -> Machine:
        return self.machines[0]

    def _settled(self, jobs: Sequence[Job]) -> list[Job]:
        return list(jobs)

    def _fingerprints(self, machine: Machine, jobs: Sequence[Job]) -> list[str]:
        return [self.prints.get(machine.name, job.fingerprint) for job in jobs]


@pytest.fixture
def chairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TimingMachine", Chair)
    monkeypatch.setattr(engine.machines, "alive", lambda: [TWO, THREE])


def timed(lab: Lab, names: str = "abc") -> list[Record]:
    watch = Watch(NOBODY, Checkpoints(None))
    jobs = [job("latency", name) for name in names]
    done = {one.network: engine._Exporting() for one in jobs}
    for one in done.values():
        one.over.set()
    found = list(lab._timing(jobs, watch, done))
    assert sorted(record.case.network for record in found) == sorted(names)
    return found


@pytest.mark.usefixtures("chairs")
def test_where_the_machine_that_is_timed_on_is_lost_another_goes_on() -> None:
    lab = Lab({"one": 1, "two": 99})
    timed(lab)
    assert lab.asked[0] == ("one", "a")
    assert {name for name, _ in lab.asked[1:]} == {"two"}


@pytest.mark.usefixtures("chairs")
def test_machines_that_are_lost_again_and_again_end_the_run() -> None:
    with pytest.raises(UnavailableError, match="as others before: look at the machines"):
        timed(Lab({"one": 1, "two": 0, "three": 0}))


@pytest.mark.usefixtures("chairs")
def test_machines_that_are_as_fast_share_what_is_timed_and_the_records_say_so() -> None:
    lab = Lab({"one": 99, "two": 99}, ["all"])
    found = timed(lab, "abcdef")
    asked = Counter(name for name, network in lab.asked if network != "mobilefacenet")
    assert asked == {"one": 3, "two": 3}
    checks = [check for record in found for check in record.checks]
    assert [(check.name, check.passed) for check in checks] == [("as fast as one", True)] * 3
    assert re.match(r"two takes 1\.00\d times \(.* as long as one", checks[0].detail)


@pytest.mark.usefixtures("chairs")
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"speeds": {"two": 10.8}}, "two takes 1.08"),
        ({"prints": {"two": "another"}}, "two: its CPU or what it has installed is another"),
        ({"lives": {"one": 99, "two": 3}}, "two: the machine two was lost"),
    ],
)
def test_a_machine_that_is_not_as_fast_is_not_timed_on(trouble: dict[str, Any], said: str) -> None:
    lab = Lab({"one": 99, "two": 99}, ["one", "two"])
    vars(lab).update(trouble)
    found = timed(lab)
    assert [record.checks for record in found] == [()] * 3
    assert lab.said[0].startswith(said)
    assert lab.said[0].endswith("it is not timed on")


@pytest.mark.usefixtures("chairs")
def test_what_a_machine_had_that_is_lost_is_timed_at_home() -> None:
    # Six processes of the calibration, and one job.
    lab = Lab({"one": 99, "two": 7}, ["all"])
    found = timed(lab, "abcdef")
    assert lab.said == ["the machine two was lost: one times what it had"]
    assert sum(bool(record.checks) for record in found) == 1


def test_a_machine_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BadInputError, match="called 'four': name some of one, two, or 'all'"):
        machines.named([ONE, TWO], ["one", "four"])


@pytest.mark.parametrize(("speed", "alike"), [(1.0, True), (1.01, True), (1.06, False)])
def test_machines_are_alike_where_it_is_shown(speed: float, alike: bool) -> None:
    times = [10.0, 10.05, 9.95, 10.02, 9.98, 10.0]
    found = likeness.compared("two", [speed * ms for ms in times], "one", times)
    assert found.alike == alike
    assert found.interval[0] < speed < found.interval[1]
    # Few and noisy processes show nothing.
    assert not likeness.compared("two", [9.0, 11.0], "one", [9.0, 11.0]).alike

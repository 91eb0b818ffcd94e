"""Boards, with this machine in their place: it serves itself on its loopback."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from facebench.architectures.errors import BadInputError, LostError, RefusedError, UnavailableError
from facebench.harness.devices.board import client, dialling, served_client, watchdog
from facebench.harness.devices.board.client import connect
from facebench.harness.devices.board.launcher import HereLauncher
from facebench.harness.devices.board.served_client import ServedClient
from facebench.harness.devices.emulator.setup import Emulated
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine.environment import machine_key
from facebench.harness.measures.job import LIMIT_S, Job
from facebench.harness.measures.registry import MEASURES, kind_of
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.runs import worker_pool
from facebench.harness.runtimes import wire
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.storage.progress import SILENT
from facebench.harness.timing.sampler import MINIMUM_SAMPLES, Budget
from tests.harness.devices.board.conftest import LaidCable, Serve, Served
from tests.harness.devices.emulator.conftest import emulated, emulated_here  # noqa: F401
from tests.places import ROOT

BUDGET = Budget(0.1, 0.05)


def job(network: Network, device: str, runtime: str = "onnxruntime") -> Job:
    case = Case(
        "latency",
        network.name,
        network.weights,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        device=device,
    )
    return Job(case, network, budget=BUDGET)


@pytest.mark.parametrize("runtime", ["onnxruntime", "ncnn", "tvm"])
def test_a_network_runs_on_a_board_as_it_does_here(
    board: Served, tiny: Network, tiny_exported: Exported, runtime: str
) -> None:
    device = f"rpc://127.0.0.1:{board.port}"
    path = RUNTIMES[runtime].prepare(tiny_exported, 1, "host").path
    image = tiny_exported.reference()[0][:1]
    session = DEVICES[device].open(runtime, path, 1)
    np.testing.assert_array_equal(session.infer(image), LocalSession(runtime, path, 1).infer(image))
    session.close()
    outcome = MEASURES["latency"].obtain(job(tiny, device, runtime))
    assert isinstance(outcome.result, Latency)
    assert len(outcome.result.samples_ms) >= MINIMUM_SAMPLES
    assert outcome.environment["machine"] == os.uname().machine
    assert {"not throttled", "no drift"} <= {check.name for check in outcome.checks}


def test_a_board_says_what_it_is(board: Served) -> None:
    device = DEVICES[f"rpc://127.0.0.1:{board.port}"]
    facts = device.facts()
    assert device.kind == "measured"
    assert facts.identity == machine_key()
    assert set(facts.runtimes) == {runtime.name for runtime in RUNTIMES if runtime.opens()}
    assert (facts.slots, facts.core) == (1, "")


def test_a_server_ends_when_it_is_told_to(serve: Serve) -> None:
    assert serve("serve", "--port", "0").stop() == 0


@pytest.mark.usefixtures("gone")
def test_a_board_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot be reached.*device serve"):
        connect("127.0.0.1", 1)
    for host in ("no-such-board.invalid", f"{'x' * 64}.lab"):  # the second has no form of a host's
        with pytest.raises(UnavailableError, match=f"no host '{host}'"):
            connect(host, 9090)
    device = DEVICES["rpc://127.0.0.1:1"]
    assert device.kind == "measured"


@pytest.mark.parametrize(
    "name", ["rpc://board", "rpc://:9", "tracker://lab:9190", "ssh://-oProxyCommand=x", "ssh://a b"]
)
def test_a_name_that_is_no_device_is_answered_with_its_form(name: str) -> None:
    with pytest.raises(BadInputError, match="is not valid: write"):
        DEVICES[name]


@pytest.mark.parametrize("most", [0, 60, 200, 400, 900])
def test_a_connection_that_is_cut_is_a_board_that_is_lost(
    board: Served,
    cable: type[LaidCable],
    tiny_exported: Exported,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr(dialling, "RETURN_S", 0.0)
    led = cable(board.port, most)
    with pytest.raises((LostError, UnavailableError), match=str(led.port)):
        connect("127.0.0.1", led.port).open("onnxruntime", tiny_exported.onnx, 1)


def test_a_server_serves_on_after_a_session_that_was_cut(
    board: Served, cable: type[LaidCable], tiny_exported: Exported
) -> None:
    led = cable(board.port)
    session = connect("127.0.0.1", led.port).open("onnxruntime", tiny_exported.onnx, 1)
    led.cut()
    with pytest.raises(LostError, match="was lost"):
        session.infer(tiny_exported.reference()[0][:1])
    after = connect("127.0.0.1", board.port).open("onnxruntime", tiny_exported.onnx, 1)
    assert np.isfinite(after.infer(tiny_exported.reference()[0][:1])).all()
    after.close()


@pytest.mark.usefixtures("gone")
def test_a_board_that_is_lost_while_it_samples_fails_its_case_and_leaves_no_session(
    serve: Serve,
    tiny: Network,
    tiny_exported: Exported,
) -> None:
    server = serve("serve", "--port", "0")
    endless = replace(
        job(tiny, f"rpc://127.0.0.1:{server.port}"),
        budget=Budget(300, 300),
        exported=tiny_exported.folder,
    )
    board = psutil.Process(server.process.pid)
    sessions: list[psutil.Process] = []

    def kill_while_sampling() -> None:
        while len(board.children(recursive=True)) < 2:  # a client, and its session
            time.sleep(0.05)
        time.sleep(1)
        sessions[:] = board.children(recursive=True)
        board.kill()

    thread = threading.Thread(target=kill_while_sampling)
    thread.start()
    (record,) = worker_pool.execute([endless], SILENT)
    thread.join()
    assert record.status == "failed"
    assert record.kind == kind_of(endless.case)
    assert f"127.0.0.1:{server.port}" in record.reason
    psutil.wait_procs(sessions, timeout=10)
    assert not any(session.is_running() for session in sessions)


def test_a_board_that_hangs_is_noticed(serve: Serve) -> None:
    server = serve("serve", "--port", "0")
    code = (
        "import sys; from facebench.harness.devices.board import client, watchdog\n"
        "watchdog.LOST_S = 3.0\n"
        f"board = client.connect('127.0.0.1', {server.port})\n"
        "print('connected', flush=True); sys.stdin.readline(); board.describe()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "connected\n"
        stopped = psutil.Process(server.process.pid)
        for process in [stopped, *stopped.children(recursive=True)]:
            process.send_signal(signal.SIGSTOP)
        _, said = asking.communicate("go\n", timeout=60)
    assert asking.returncode == worker_pool.LOST
    assert f"board 127.0.0.1:{server.port} did not answer within 3 s" in said


def test_another_version_is_named(
    board: Served, monkeypatch: pytest.MonkeyPatch, tiny_exported: Exported
) -> None:
    monkeypatch.setattr(client, "version", lambda name: "99.0")
    with pytest.raises(UnavailableError, match=r"and this is 99\.0.*install the same version"):
        connect("127.0.0.1", board.port).open("onnxruntime", tiny_exported.onnx, 1)


def test_a_library_for_another_cpu_is_refused_before_it_is_sent(
    board: Served, tiny_exported: Exported
) -> None:
    path = RUNTIMES["tvm"].prepare(tiny_exported, 1, "cortex-a72").path
    with pytest.raises(RefusedError, match="is for 64-bit ARM and board .* --target"):
        connect("127.0.0.1", board.port).open("tvm", path, 1)


class Dying(HereLauncher):
    """Its sessions end by a signal once they are asked anything."""

    def __init__(self, number: int) -> None:
        self._number = number

    def command(self, runtime: str, counters: Path | None) -> list[str]:
        code = f"import os; os.read(0, 1); os.kill(os.getpid(), {self._number})"
        return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGILL, "an instruction that this CPU lacks"), (signal.SIGSEGV, "ended by SIGSEGV")],
)
def test_a_stand_that_dies_says_of_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.onnx").touch()
    own = ServedClient(Dying(number))
    own.put(client._pack(tmp_path / "network.onnx"))
    assert own.open("onnxruntime", "network.onnx", 1, False) == ""
    with pytest.raises(wire.SessionError, match=said):
        wire.answer(own.receive(20.0))
    own.close()


def test_a_runtime_that_a_board_lacks_is_named(board: Served, tiny_exported: Exported) -> None:
    far = connect("127.0.0.1", board.port)
    described = replace(far.describe(), runtimes=("ncnn",))
    with pytest.raises(UnavailableError, match="does not have runtime onnxruntime .it has ncnn"):
        client.require("far", described, "onnxruntime", tiny_exported.onnx)
    far.close()


PLAIN = """
import sys
from facebench.harness.compiler.tvm import import_tvm
import_tvm()
from tvm.rpc.server import _listen_loop
import multiprocessing, socket
multiprocessing.set_start_method("fork")
listening = socket.create_server(("127.0.0.1", 0))
print(f"bound 127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
_listen_loop(listening, listening.getsockname()[1], "", None, None, None)
"""


def test_tvms_own_server_runs_what_tvm_compiled_and_nothing_else(
    serve: Serve, tiny: Network, tiny_exported: Exported
) -> None:
    port = serve(command=[sys.executable, "-c", PLAIN]).port
    device = f"rpc://127.0.0.1:{port}"
    assert DEVICES[device].facts().runtimes == ("tvm",)
    outcome = MEASURES["latency"].obtain(job(tiny, device, "tvm"))
    assert isinstance(outcome.result, Latency)
    assert len(outcome.result.samples_ms) >= MINIMUM_SAMPLES
    assert outcome.result.output_error < 1e-4
    assert outcome.environment == {"environment": "not reported: a plain TVM server"}
    with pytest.raises(UnavailableError, match="does not have runtime onnxruntime"):
        DEVICES[device].open("onnxruntime", tiny_exported.onnx, 1)


def test_a_tracker_lends_two_boards_at_once(serve: Serve, tiny_exported: Exported) -> None:
    at = f"127.0.0.1:{serve('tracker', '--port', str(free_port())).port}"
    one, _two = (serve("serve", "--port", "0", "--tracker", at, "--key", "pi") for _ in range(2))
    device = DEVICES[f"tracker://{at}/pi"]
    assert device.facts().slots == 2
    image = tiny_exported.reference()[0][:1]
    sessions = [device.open("onnxruntime", tiny_exported.onnx, 1) for _ in range(2)]
    for session in sessions:
        assert np.isfinite(session.infer(image)).all()
        session.close()
    with pytest.raises(UnavailableError, match=r"no board of key 'jetson' \(keys: pi\)"):
        DEVICES[f"tracker://{at}/jetson"].open("onnxruntime", tiny_exported.onnx, 1)
    # One that goes away leaves the other.
    one.stop()
    left = device.open("onnxruntime", tiny_exported.onnx, 1)
    assert np.isfinite(left.infer(image)).all()
    left.close()


def test_ssh_leads_to_a_board_that_listens_to_itself_alone(
    board: Served, tiny_exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = board.port
    # It forwards as ssh does, and remembers what it was asked.
    (tmp_path / "ssh").write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, time\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.harness.devices.board.cable import Cable\n"
        "import socket\n"
        "pathlib.Path(__file__).with_name('asked').write_text(' '.join(sys.argv[1:]))\n"
        "near, _, far = sys.argv[sys.argv.index('-L') + 1].split(':')\n"
        "class Near(socket.socket): getsockname = lambda self: ('', 0)\n"
        "listening = Near(socket.AF_UNIX); listening.bind(near); listening.listen()\n"
        "socket.create_server = lambda address: listening\n"
        "Cable(int(far)); time.sleep(600)\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    device = DEVICES[f"ssh://pi@board:2222?serve={port}"]
    session = device.open("onnxruntime", tiny_exported.onnx, 1)
    assert np.isfinite(session.infer(tiny_exported.reference()[0][:1])).all()
    session.close()
    asked = (tmp_path / "asked").read_text()
    assert "-p 2222" in asked
    assert "BatchMode=yes" in asked
    assert asked.endswith("-- pi@board")


def test_ssh_that_cannot_log_in_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text(
        "#!/bin/sh\necho 'Permission denied (publickey).' >&2; exit 255\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UnavailableError, match="Permission denied"):
        DEVICES["ssh://nobody@board"].open("onnxruntime", tmp_path, 1)


@pytest.mark.slow
def test_an_emulated_core_stands_in_for_a_board(
    serve: Serve,
    emulated_here: Emulated,  # noqa: F811
    tiny: Network,
) -> None:
    port = serve("serve", "--port", "0", "--emulated", "cortex-a72").port
    device = f"rpc://127.0.0.1:{port}"
    assert DEVICES[device].kind == "emulated"
    assert DEVICES[device].facts().core == "cortex-a72"
    counted = replace(
        job(tiny, device), case=replace(job(tiny, device).case, measure="instructions")
    )
    assert MEASURES["instructions"].obtain(counted).result.work.instructions > 0
    with pytest.raises(RefusedError, match="emulator's time says nothing"):
        MEASURES["latency"].obtain(job(tiny, device))


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_silence_of_a_board_is_shorter_than_that_of_a_case() -> None:
    assert watchdog.LOST_S < client.CASE_S < LIMIT_S
    assert served_client.PROTOCOL == 2

"""A board's server: its commands, and clients that come, fail, hang up and are silent."""

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from facebench.architectures.errors import BadInputError, LostError, RefusedError, UnavailableError
from facebench.harness.devices.board import dialling
from facebench.harness.devices.board.client import connect
from facebench.harness.measures.job import Job
from facebench.harness.models.export import Exported
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.runs import worker_pool
from facebench.harness.runtimes.session import Session
from facebench.harness.runtimes.wire import SessionError
from facebench.harness.storage.progress import SILENT
from facebench.harness.timing.sampler import Budget
from tests.harness.command_line import facebench
from tests.harness.devices.board.conftest import PATIENCE_S, LaidCable, Serve, Served


def opened(server: Served, exported: Exported) -> Session:
    return connect("127.0.0.1", server.port).open("onnxruntime", exported.onnx, 1)


def below(server: Served) -> list[psutil.Process]:
    """Its clients and their sessions."""
    return psutil.Process(server.process.pid).children(recursive=True)


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_latency_is_measured_on_a_board_from_the_command_line(
    board: Served, tiny: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    device = f"rpc://127.0.0.1:{board.port}"
    options = ("--runtime", "ncnn", "--seconds", "0.05", "--processes", "1", "--json")
    assert facebench("latency", f"onnx:{tiny.path}", "--device", device, *options) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["device"], record["kind"]) == (device, "measured")
    assert len(record["samples_ms"]) >= 64


def test_what_a_board_says_of_itself_is_listed(
    board: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    device = f"rpc://127.0.0.1:{board.port}"
    assert facebench("device", "list", device, "local", "--json") == 0
    served, here = json.loads(capsys.readouterr().out)
    assert served["device"] == device
    # It is the same machine, however it is reached.
    same = ("kind", "identity", "cores", "runtimes")
    assert [served[name] for name in same] == [here[name] for name in same]


def test_the_families_of_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert facebench("device", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["device"] for row in rows} >= {"local", "rpc", "ssh", "tracker", "emulated"}


def test_an_address_that_is_taken_is_named(
    board: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    port = board.port
    assert facebench("device", "serve", "--port", port) == BadInputError.exit_code
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_another_key_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "RETURN_S", 0.0)
    port = serve("serve", "--port", "0", "--key", "mine").port
    with pytest.raises(UnavailableError, match="another key than 'yours'"):
        connect("127.0.0.1", port, "yours")
    board = connect("127.0.0.1", port, "mine")
    assert board.describe().kind == "measured"
    board.close()


def test_an_artifact_that_cannot_be_opened_is_told_with_the_board(
    board: Served, tmp_path: Path
) -> None:
    port = board.port
    (tmp_path / "network.onnx").write_bytes(b"nonsense")
    with pytest.raises(SessionError, match=rf"board 127\.0\.0\.1:{port} \(opening the network\)"):
        connect("127.0.0.1", port).open("onnxruntime", tmp_path / "network.onnx", 1)


def test_a_board_counts_no_instructions(board: Served, tiny_exported: Exported) -> None:
    session = opened(board, tiny_exported)
    with pytest.raises(RefusedError, match="emulated:CORE"):
        session.count(tiny_exported.reference()[0][:1])
    session.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_server_that_is_ended_leaves_no_session(
    serve: Serve, tiny_exported: Exported, number: signal.Signals
) -> None:
    server = serve("serve", "--port", "0")
    session = opened(server, tiny_exported)
    processes = below(server)
    assert len(processes) >= 2
    server.process.send_signal(number)
    code = server.process.wait(PATIENCE_S)
    assert code == (-number if number == signal.SIGKILL else 0)
    assert psutil.wait_procs(processes, PATIENCE_S)[1] == []
    with pytest.raises(LostError):
        session.infer(tiny_exported.reference()[0][:1])


FINALIZER = """
import os, signal, sys, time
from facebench.harness.devices.board import server

server._end_on_signals()

class Told:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

told = Told()
del told
print("went on", flush=True)
time.sleep(60)
"""


def test_a_signal_that_comes_in_a_finalizer_ends_the_server_too() -> None:
    """Python prints an exception that is raised there, and goes on."""
    done = subprocess.run(
        [sys.executable, "-c", FINALIZER], capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_client_that_hangs_up_leaves_no_session(board: Served, tiny_exported: Exported) -> None:
    session = opened(board, tiny_exported)
    assert len(below(board)) >= 2
    session.close()
    assert eventually(lambda: not below(board))


def test_a_client_that_says_nothing_does_not_keep_others_out(
    board: Served, tiny_exported: Exported
) -> None:
    with socket.create_connection(("127.0.0.1", board.port)):
        session = opened(board, tiny_exported)
        assert np.isfinite(session.infer(tiny_exported.reference()[0][:1])).all()
        session.close()


def test_whoever_waits_for_a_client_s_process_that_died_hears_of_it(board: Served) -> None:
    assert eventually(lambda: not below(board))
    with socket.create_connection(("127.0.0.1", board.port), PATIENCE_S) as client:
        # Less than the 30 s after which a client gives up by itself.
        client.settimeout(20)
        client.sendall(struct.pack("<ii", 0xFF271, 7) + b"client:")
        assert client.recv(4)
        assert eventually(lambda: bool(below(board)))
        for process in below(board):
            process.kill()
        while client.recv(1024):
            pass


def test_a_case_whose_session_was_lost_is_tried_once_more(serve: Serve, tiny: Network) -> None:
    server = serve("serve", "--port", "0")
    killed: list[int] = []

    def kill_the_first_with_a_session() -> None:
        # A process, and the session below it.
        eventually(lambda: len(below(server)) >= 2)
        for process in psutil.Process(server.process.pid).children():
            process.kill()
            killed.append(process.pid)

    thread = threading.Thread(target=kill_the_first_with_a_session)
    thread.start()
    device = f"rpc://127.0.0.1:{server.port}"
    case = Case("latency", tiny.name, tiny.weights, runtime="onnxruntime", device=device)
    (record,) = worker_pool.execute([Job(case, tiny, budget=Budget(0.1, 0.1))], SILENT)
    thread.join()
    assert killed
    assert record.status == "ok", record.reason
    assert any("a client ended badly" in line for line in server.said)


SILENCED = """
import sys
from pathlib import Path
from facebench.harness.devices.board import watchdog
from facebench.harness.devices.board.client import connect
watchdog.LOST_S = 2.0
connect("127.0.0.1", int(sys.argv[1])).open("onnxruntime", Path(sys.argv[2]), 1)
"""


# With 200 bytes, TVM waits in a destructor, where no other thread of Python goes on.
@pytest.mark.parametrize("most", [40, 200, 400])
def test_a_network_that_falls_silent_ends_the_process_that_waits(
    board: Served, cable: Callable[..., LaidCable], tiny_exported: Exported, most: int
) -> None:
    led = cable(board.port, most, silently=True)
    waiting = [sys.executable, "-P", "-c", SILENCED, str(led.port), str(tiny_exported.onnx)]
    ended = subprocess.run(waiting, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert ended.returncode == worker_pool.LOST
    assert f"board 127.0.0.1:{led.port} did not answer within 2 s" in ended.stderr
    led.cut()

"""Forked processes: what they are told and say, how they end, and from which server they come."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import psutil
import pytest

from facebench.harness.machine import fork_server
from facebench.harness.machine.fork_server import ForkServers, Parent
from facebench.harness.machine.processes import ChildProcess, Ending

SERVER = """
import os, sys, threading, time
from facebench.harness.machine import fork_server
{before}
def work():
    for line in sys.stdin:
        exec(line)
        sys.stdout.flush()
fork_server.serve(int(sys.argv[2]), work, sys.argv[1])
"""
PLAIN = Parent("", (("THREADS", "1"),))
TELL = b"print(os.getppid(), fork_server.how_started(), os.environ['THREADS'], sep=',')\n"


def servers(
    before: str = "", first: Sequence[Parent] = (), later: Sequence[Parent] = ()
) -> ForkServers:
    code = SERVER.format(before=before)
    return ForkServers(lambda imported: [sys.executable, "-c", code, imported], first, later)


@pytest.fixture
def forks() -> Iterator[ForkServers]:
    with servers() as started:
        yield started


def start(forks: ForkServers, case: str, imported: str = "", threads: str = "1") -> ChildProcess:
    process = forks.start(case, Parent(imported, (("THREADS", threads),)))
    assert process is not None
    return process


def told(forks: ForkServers, case: str, imported: str = "", threads: str = "1") -> list[str]:
    with start(forks, case, imported, threads) as process:
        process.send(TELL, last=True)
        return process.line().decode().strip().split(",", 1)


def test_cases_share_a_server_and_processes_of_a_case_never_do(forks: ForkServers) -> None:
    first, second = [[told(forks, case)[0] for case in ("a", "b", "c")] for _ in range(2)]
    assert len({*first}) == len({*second}) == 1
    assert first != second


def test_what_is_to_be_imported_or_set_otherwise_has_a_server_of_its_own(
    forks: ForkServers,
) -> None:
    found = [told(forks, "a"), told(forks, "b", "tvm"), told(forks, "c", threads="2")]
    assert len({server for server, _ in found}) == 3
    assert [how for _, how in found] == ["forked,1", "forked, tvm imported before,1", "forked,2"]


def test_servers_that_are_foreseen_start_together() -> None:
    parents = [Parent(imported, (("THREADS", "1"),)) for imported in ("", "tvm", "torch")]

    def running() -> int:
        return len(psutil.Process().children())

    before = running()
    with servers(first=parents[:2], later=parents) as forks:
        assert running() == before
        told(forks, "a")
        assert running() == before + 2
        told(forks, "b", "torch")
        assert running() == before + 3
        told(forks, "a")
        assert running() == before + 3
    assert running() == before


def test_a_process_has_streams_and_a_log_of_its_own(forks: ForkServers) -> None:
    for word in ("one", "two"):
        with start(forks, word) as process:
            process.send(b"print(len(os.listdir('/proc/self/fd')))\n")
            open_files = int(process.line())
            process.send(f"print('{word}', file=sys.stderr)\n".encode(), last=True)
            assert process.ended() == Ending(0, word)
            assert process.line() == b""
        assert open_files <= 5  # the standard ones, the folder's, and no socket


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("os._exit(3)", 3),
        ("sys.exit(75)", 75),
        ("1 / 0", 1),
        ("os.kill(os.getpid(), 11)", -signal.SIGSEGV),
    ],
)
def test_how_it_ends_is_told_and_the_next_one_starts(
    line: str, code: int, forks: ForkServers
) -> None:
    with start(forks, "a") as process:
        process.send(line.encode() + b"\n", last=True)
        assert process.ended().code == code
    assert told(forks, "b")[1] == "forked,1"


def test_one_that_says_nothing_is_stopped(forks: ForkServers) -> None:
    with start(forks, "a") as process:
        process.send(b"time.sleep(60)\n")
        assert process.line(limit_s=0.2) == b""
        assert process.hung
        assert process.ended().signal == "SIGKILL"


def test_one_that_outlives_its_time_is_killed(forks: ForkServers) -> None:
    with start(forks, "a") as process:
        process.send(b"time.sleep(60)\n")
        assert process.running
        assert process.ended(within_s=0.2).signal == "SIGKILL"


def test_a_server_with_threads_forks_nothing() -> None:
    threads = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    with servers(threads) as forks:
        assert [forks.start(case, PLAIN) for case in ("a", "b", "a")] == [None] * 3


def test_a_server_that_cannot_start_forks_nothing() -> None:
    with servers("import no_such_module") as forks:
        assert forks.start("a", PLAIN) is None


def test_a_process_ends_with_its_server_and_the_next_case_has_another(forks: ForkServers) -> None:
    with start(forks, "a") as process:
        server = psutil.Process(process.pid).parent()
        assert server is not None
        process.send(b"time.sleep(60)\n")
        server.kill()
        assert process.ended().signal == "SIGKILL"
    assert forks.start("b", PLAIN) is None  # started afresh, once
    assert told(forks, "c")[1] == "forked,1"


def test_nobody_waits_for_a_server_that_is_stopped(
    forks: ForkServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "_ANSWER_S", 0.2)
    with start(forks, "a") as process:
        server = psutil.Process(process.pid).parent()
        assert server is not None
        server.suspend()
    assert process.ended().signal == "SIGKILL"
    assert forks.start("b", PLAIN) is None
    assert told(forks, "c")[1] == "forked,1"


def test_all_end_with_the_run() -> None:
    code = f"""
import os, sys, time
from facebench.harness.machine import fork_server
from facebench.harness.machine.fork_server import ForkServers, Parent
forks = ForkServers(lambda imported: [sys.executable, "-c", {SERVER.format(before="from facebench.harness.machine.die_with_parent import die_with_parent; die_with_parent()")!r}, imported])
process = forks.start("a", Parent("", ()))
print(process.pid, flush=True)
time.sleep(60)
"""  # noqa: E501
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout is not None
    with run, run.stdout:
        child = psutil.Process(int(run.stdout.readline()))
        server = child.parent()
        assert server is not None
        os.kill(run.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(_lives(one) for one in (child, server)):
            assert time.monotonic() < end
            time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

"""Child processes: what they are told and say, how they end, and that they do."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from facebench.harness.machine.processes import (
    ChildProcess,
    Ending,
    dying_with_parent,
    follow,
    python_module,
    thread_variables,
)


def child(code: str, **options: object) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"


def test_what_is_sent_is_answered_line_by_line() -> None:
    with child(ECHO) as process:
        for word in (b"one\n", b"two\n"):
            process.send(word)
            assert process.line() == word.upper()
        process.send(b"three\n", last=True)
        assert process.output.read() == b"THREE\n"
        assert process.ended() == Ending(0)


def test_half_a_line_is_none() -> None:
    with child("print('half', end='')") as process:
        assert process.line() == b""


def test_what_is_sent_to_a_dead_process_is_told_of_by_its_end() -> None:
    with child("import sys; sys.exit('first\\nno such model')") as process:
        end = process.ended()
        process.send(b"x" * 2**20)
        assert process.line() == b""
    assert end == Ending(1, "no such model")
    assert str(end) == "ended with exit code 1; the last it said: no such model"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGILL])
def test_an_end_by_a_signal_has_its_name(number: signal.Signals) -> None:
    with child(f"import os; os.kill(os.getpid(), {int(number)})") as process:
        end = process.ended()
    assert (end.code, end.signal) == (-number, number.name)
    assert str(end) == f"ended by {number.name}"


def test_a_signal_without_a_name_has_its_number() -> None:
    assert str(Ending(-signal.SIGRTMIN - 3)) == f"ended by signal {signal.SIGRTMIN + 3}"


def test_a_process_that_says_nothing_for_too_long_is_killed() -> None:
    began = time.monotonic()
    with child("import time; print('up', flush=True); time.sleep(60)") as process:
        assert process.line(30) == b"up\n"
        assert not process.hung
        assert process.line(0.2) == b""
        assert process.hung
        assert process.ended().signal == "SIGKILL"
    assert time.monotonic() - began < 30


def test_a_process_that_does_not_end_is_ended() -> None:
    with child("import os, time; os.close(1); time.sleep(60)") as process:
        assert process.line() == b""
        assert process.running
        assert process.ended(0.1).signal == "SIGKILL"
        assert not process.running


def test_the_log_can_be_read_while_it_is_written() -> None:
    code = "import sys\nfor line in sys.stdin: print(line, end='', file=sys.stderr); print()"
    with child(code) as process:
        for word in ("one", "two", "three"):
            process.send(f"{word}\n".encode())
            process.send(b"", last=word == "three")
            if word != "three":
                while word not in process.log():
                    time.sleep(0.01)
        process.ended()
        assert process.log() == "one\ntwo\nthree\n"
        assert process.last_line() == "three"
    assert process.last_line() == ""


def test_of_a_long_log_the_end_is_looked_at_and_of_a_long_line_the_start_is_said() -> None:
    code = "import sys; sys.stderr.write('a' * 10**6 + '\\n' + 'b' * 1000 + '\\n')"
    with child(code) as process:
        assert process.ended().said == "b" * 300


def test_output_that_is_not_piped_is_in_the_log() -> None:
    with child("print(input())", piped=False) as process:
        assert process.ended().said == "EOFError: EOF when reading a line"
    with child("print('serving')", piped=False) as process:
        assert process.ended() == Ending(0, "serving")


def test_what_another_thread_closes_ends_the_wait_for_a_line() -> None:
    process = child("import time; time.sleep(60)")
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(process.line()))
    reader.start()
    process.close()
    reader.join(30)
    assert heard == [b""]
    process.send(b"x")
    assert process.line() == b""


def test_it_has_the_variables_and_the_folder_that_are_given(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ['OMP_NUM_THREADS'])"
    variables = os.environ | thread_variables(3)
    with child(code, environment=variables, folder=tmp_path) as process:
        assert process.output.read().decode() == f"{tmp_path} 3\n"


def test_all_libraries_are_told_of_the_threads() -> None:
    names = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TVM_NUM_THREADS"}
    assert thread_variables(2) == dict.fromkeys(names, "2")


def test_a_module_is_not_taken_from_the_folder_one_stands_in(tmp_path: Path) -> None:
    (tmp_path / "this.py").write_text("print('mine')")
    with ChildProcess(python_module("this"), folder=tmp_path) as process:
        assert b"Zen of Python" in process.output.read()


def test_a_command_ends_with_the_process_that_started_it() -> None:
    code = """
import subprocess, sys
from facebench.harness.machine.processes import dying_with_parent
print(subprocess.Popen(dying_with_parent(["sleep", "600"])).pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout is not None
        sleeper = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + 30
        # While it becomes another program it has the name before it has the arguments.
        while sleeper.cmdline() != ["sleep", "600"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sleeper.cmdline() == ["sleep", "600"]
        parent.kill()
    psutil.wait_procs([sleeper], 30)
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE


def test_a_command_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    *start, _parent, program, file = dying_with_parent(["touch", str(tmp_path / "started")])
    done = subprocess.run([*start, "1", program, file])
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


SPEAKS = "import sys; print(' one \\n\\n'); print('two', file=sys.stderr); sys.exit(3)"


@pytest.mark.parametrize(("output", "lines"), [(True, {"one", "two"}), (False, {"two"})])
def test_a_command_that_is_followed_tells_its_lines(output: bool, lines: set[str]) -> None:
    heard: list[str] = []
    code, last = follow([sys.executable, "-c", SPEAKS], heard.append, output=output)
    assert code == 3
    assert heard == last
    assert set(heard) == lines


def test_a_command_that_is_followed_is_killed_where_nobody_follows_it_any_longer() -> None:
    def tell(line: str) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    code = "import time; print('up', flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", code], tell)
    assert time.monotonic() - began < 30

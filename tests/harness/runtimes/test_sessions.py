"""Sessions: what goes over their pipes, and one in a process of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.emulator import wheels
from facebench.harness.models.answers import RUNTIME_TOLERANCE, relative_error
from facebench.harness.models.export import Exported
from facebench.harness.runtimes import counted_process, session_process, wire
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.storage.serialization import convert
from facebench.harness.timing.sampler import MINIMUM_SAMPLES, Samples


@given(
    st.lists(st.text("abcxyz019._-", min_size=1, max_size=9), min_size=1, max_size=6),
    st.binary(max_size=300),
)
def test_a_request_is_read_as_it_was_made(words: list[str], payload: bytes) -> None:
    stream = io.BytesIO(wire.request(words, payload) * 2)
    assert wire.read(stream) == (words, payload)
    assert wire.read(stream) == (words, payload)
    assert wire.read(stream) is None


@given(arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 4), elements=st.floats(width=32)))
def test_images_arrive_as_they_were_sent(images: np.ndarray) -> None:
    message = wire.read(io.BytesIO(wire.images_request("sample", images, 2.0, 0.5)))
    assert message is not None
    words, payload = message
    assert words[5:] == ["2.0", "0.5"]
    np.testing.assert_array_equal(wire.images_of(words[1:5], payload), images)


@pytest.mark.parametrize("line", [b"nonsense\n", b"ok -1\n", b"ok 99999999999\n", b"\xff 1 x\n"])
def test_what_is_no_message_is_told_so(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of a session"):
        wire.read(io.BytesIO(line))


def test_a_message_that_is_cut_off_is_the_end() -> None:
    assert wire.read(io.BytesIO(wire.request(["infer"], b"1234")[:-1])) is None


def test_an_error_is_raised_with_its_sentence() -> None:
    assert wire.answer(wire.reply(b"\n\x00")) == b"\n\x00"
    with pytest.raises(wire.SessionError, match="no such file"):
        wire.answer(wire.error("no such file"))


@contextlib.contextmanager
def started(module: ModuleType) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", module.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with started(session_process) as process:
        yield process


def ask(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request)
    process.stdin.flush()
    message = wire.read(process.stdout)
    assert message is not None
    words, payload = message
    return wire.answer(wire.error(payload.decode()) if words[0] == "error" else wire.reply(payload))


@pytest.mark.parametrize("name", ["ncnn", "onnxruntime"])
def test_a_process_does_all_that_a_stand_does(
    name: str, tiny_exported: Exported, process: subprocess.Popen[bytes]
) -> None:
    path = RUNTIMES[name].prepare(tiny_exported, 1, "").path
    opened = json.loads(ask(process, wire.request(["open", name, "1"], str(path).encode())))
    assert opened["load_ms"] > 0
    inputs, expected = tiny_exported.reference()
    answer = ask(process, wire.images_request("infer", inputs[:1]))
    embedding = np.frombuffer(answer, np.float32).reshape(1, -1)
    assert relative_error(embedding, expected[:1]) < RUNTIME_TOLERANCE
    request = wire.images_request("sample", inputs[:1], 0.1, 0.01, 1, 1)
    sampled = convert(json.loads(ask(process, request)), Samples)
    assert len(sampled.samples_ms) >= MINIMUM_SAMPLES
    assert sampled.conditions is not None
    assert len(sampled.conditions.pinned) == 1
    assert sampled.conditions.during is not None
    assert "cpu_model" in json.loads(ask(process, wire.request(["environment"])))


def test_a_process_that_is_counted_infers_and_counts_and_takes_no_time(
    tiny_exported: Exported,
) -> None:
    inputs, expected = tiny_exported.reference()
    opening = wire.request(["open", "onnxruntime", "1"], str(tiny_exported.onnx).encode())
    with started(counted_process) as process:
        with pytest.raises(wire.SessionError, match="nothing is open"):
            ask(process, wire.images_request("infer", inputs[:1]))
        # A time would be of another length in each process.
        assert ask(process, opening) == b"{}"
        answer = ask(process, wire.images_request("infer", inputs[:1]))
        embedding = np.frombuffer(answer, np.float32).reshape(1, -1)
        assert relative_error(embedding, expected[:1]) < RUNTIME_TOLERANCE
        # Without an emulator the marks are a system call that fails; the count still ends.
        assert b"r-xp" in ask(process, wire.images_request("count", inputs[:1]))
        with pytest.raises(wire.SessionError, match="does not know 'warm'"):
            ask(process, wire.images_request("warm", inputs[:1], 0.1))


def test_a_process_answers_what_it_cannot_do_and_goes_on(
    process: subprocess.Popen[bytes],
) -> None:
    for request, reason in [
        (wire.images_request("infer", np.zeros((1, 3, 2, 2), np.float32)), "nothing is open"),
        (wire.request(["open", "nonsense", "1"], b"/nowhere"), "unknown runtime"),
        (wire.request(["open", "onnxruntime", "1"], b"/nowhere"), "nowhere"),
    ]:
        with pytest.raises(wire.SessionError, match=reason):
            ask(process, request)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


_WITHOUT = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {there}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
import {module}
from facebench.harness.runtimes.registry import RUNTIMES
print(*RUNTIMES.names())
"""


def test_a_session_that_is_counted_imports_what_an_emulated_machine_has() -> None:
    there = {"facebench", *wheels.wanted()} - set(RUNTIMES.names())
    code = _WITHOUT.format(there=there, module=counted_process.__name__)
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert set(done.stdout.split()) >= {"ncnn", "onnxruntime", "litert", "openvino"}


def test_a_stand_here_counts_nothing(tiny_exported: Exported) -> None:
    session = LocalSession("onnxruntime", tiny_exported.onnx, 1)
    with pytest.raises(RefusedError, match="--device emulated:CORE"):
        session.count(tiny_exported.reference()[0][:1])


_INFERS = """
import sys
import numpy as np
from pathlib import Path
from types import ModuleType
from facebench.harness.runtimes.session import LocalSession
session = LocalSession("onnxruntime", Path(sys.argv[1]), 1)
session.infer(np.load(sys.argv[2]))
"""


def test_onnxruntime_notes_nothing_in_the_user_s_folder_and_reports_nothing(
    tiny_exported: Exported, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", tiny_exported.reference()[0][:1])
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    words = [sys.executable, "-c", _INFERS, str(tiny_exported.onnx), str(tmp_path / "images.npy")]
    subprocess.run(words, check=True, env=environment | {"HOME": str(home)})
    assert [*home.rglob("*")] == []

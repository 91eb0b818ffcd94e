"""Boards that mean harm to whoever asks them: one sentence, little memory, and no obedience."""

import contextlib
import json
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facebench.architectures.errors import FacebenchError, LostError
from facebench.harness.devices.board import client
from facebench.harness.devices.board.client import RemoteSession, ServedBoard
from facebench.harness.devices.board.replies import LARGEST, Replies, ReplyError, exception
from facebench.harness.timing.sampler import Budget
from tests.faults.fuzz import mutate
from tests.harness.devices.board.hostile_board import ANSWERS, GREETINGS, MAGIC, message
from tests.places import ROOT

# Asks boards at several ports one after the other; what it was told, and the bytes it took.
ASKING = """
import json, resource, sys
from facebench.architectures.errors import FacebenchError
from facebench.harness.devices.board import client, dialling, watchdog
dialling.RETURN_S = 0.0
watchdog.LOST_S = 20.0
from facebench.harness.compiler.tvm import import_tvm
import_tvm()
for port in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        client.connect("127.0.0.1", int(port)).close()
        end = "nothing"
    except FacebenchError as error:
        end = str(error)
    except BaseException as error:
        end = f"traceback: {error!r}"
    took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([end, took]), flush=True)
"""

_MOST_KB = 150_000


def test_no_board_has_its_way_with_a_client() -> None:
    hows = [*ANSWERS, *GREETINGS]
    boards = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.harness.devices.board.hostile_board", how],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for how in hows
    ]
    ports = [board.stdout.readline().strip() for board in boards if board.stdout]
    asked = subprocess.run(
        [sys.executable, "-P", "-c", ASKING, *ports], capture_output=True, text=True, timeout=200
    )
    said = {}
    for board, how in zip(boards, hows, strict=True):
        board.kill()
        said[how] = board.communicate()[0]
    ends = dict(zip(hows, map(json.loads, asked.stdout.splitlines()), strict=False))
    print(json.dumps(ends, indent=1), said, asked.stderr[-2000:])
    assert asked.returncode == 0
    assert ends.keys() == set(hows)
    assert not any("obeyed" in each for each in said.values())
    for how, (end, kilobytes) in ends.items():
        assert "board 127.0.0.1:" in end, how
        assert len(end) < 1000, how
        assert kilobytes < _MOST_KB, how


GREETING = MAGIC + struct.pack("<i", 6) + b"server"


def test_answers_go_on_whole_however_they_arrive(chance: random.Random) -> None:
    said = GREETING + exception("no") + message(4, struct.pack("<ii", 1, 0)) + message(1)
    for _ in range(50):
        replies, passed, rest = Replies(), b"", said
        while rest:
            size = chance.randrange(1, 30)
            passed += replies.take(rest[:size])
            rest = rest[size:]
        assert passed == said


def test_nothing_of_a_message_goes_on_before_it_is_known_to_be_an_answer() -> None:
    replies = Replies()
    replies.take(GREETING)
    assert replies.take(exception("no")[:-1]) == b""
    with pytest.raises(ReplyError, match="33,554,433 bytes at once"):
        Replies().take(GREETING + struct.pack("<Q", LARGEST + 1))


def test_any_damage_to_answers_is_passed_whole_or_named(chance: random.Random) -> None:
    """What is passed has answers' codes alone, and lengths that are there."""
    answers = [each for each in ANSWERS.values() if len(each) < 500]
    for _ in range(2000):
        said = mutate(b"".join(chance.sample(answers, 2)), answers, chance)
        replies, passed = Replies(), b""
        with contextlib.suppress(ReplyError):
            replies.take(GREETING)
            passed = replies.take(said)
        while passed:
            (size,) = struct.unpack_from("<Q", passed)
            assert size <= len(passed) - 8
            assert not size or struct.unpack_from("<i", passed, 8)[0] in (1, 4, 5, 8)
            passed = passed[8 + size :]


class Liar:
    """What stands for TVM's session with a board, and answers one thing to all."""

    def __init__(self, answer: Any) -> None:
        self.get_function = lambda name: lambda *arguments: answer


SAMPLES = b'{"warmup_ms": [], "samples_ms": [1.0], "stable": true}'
LIES = [
    *(None, 7, 10**12, 1.5, [], "", "x", "{}", "[]", "[" * 10**5, '{"protocol": 2}', b"\xff"),
    *("[{}]", '{"a": NaN}', b"ok 4\nabcde", b"ok 3\nnul", b"ok 2\n[]", b"ok 2\n{}"),
    *(b"ok 9\n" + SAMPLES.replace(b"1.0", b"1e999"), b"ok 1\n" + SAMPLES.replace(b"1.0", b'"x"')),
    *("error", b"error 3\n\xff\x1b", "y" * 10**6, b"ok 12\n" + b"\0" * 10),
    '{"kind": 1, "protocol": 2, "facebench": "0", "runtimes": [[]]}',
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: repr(lie)[:30])
def test_what_a_board_answers_is_its_own_kind_or_the_board_is_lost(
    lie: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CASE_S", 0.05)  # for an answer that never comes
    board = ServedBoard(Liar(lie), "liar", lambda: None)
    images = np.zeros((2, 3, 4, 4), np.float32)
    session = RemoteSession(board, "measured", 0.0)
    counted = RemoteSession(board, "emulated", 0.0)
    (tmp_path / "network.onnx").touch()
    for ask in (
        board.describe,
        lambda: board.open("ncnn", tmp_path / "network.onnx", 1),
        lambda: session.infer(images),
        lambda: session.sample(images, Budget(0.1, 0.1)),
        session.environment,
        session.footprint,
        lambda: counted.count(images),
    ):
        said = ""
        try:
            ask()
        except FacebenchError as error:
            said = str(error)
        assert len(said) < 1000
        board.rpc_session = Liar(lie)


def test_a_board_whose_answer_is_no_text_is_not_asked_for_so_many_bytes() -> None:
    board = ServedBoard(Liar(2**40), "liar", lambda: None)
    with pytest.raises(LostError, match="board liar was lost .inferring.: what it says is no"):
        board.ask("inferring", b"")

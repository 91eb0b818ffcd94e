"""Lets through to TVM's client what a board may send it: bounded answers, and nothing else.

TVM's protocol is the same in both directions. A client obeys a board that calls it instead of
answering: it looks up functions, runs them, and reads and writes its own memory where it is
told to. It takes lengths and addresses from answers as well. Here each message is looked at
whole, before any of it goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Bytes of one message: the times of a session that samples for `client.CASE_S`, at half a
# millisecond each, as JSON.
LARGEST = 2**25

# TVM's `kRPCMagic`; the next two codes say that it is no board for this client's key.
_MAGIC = 0xFF271
_REFUSALS = (_MAGIC + 1, _MAGIC + 2)
_LONGEST_KEY = 1024

# TVM's `RPCCode`: what is an answer.
_SHUTDOWN, _RETURN, _EXCEPTION, _COPIED = 1, 4, 5, 8

# TVM's `TypeIndex`. Functions and modules are addresses here and never in an answer, which
# gives them as a number that is of use on the board alone.
_NONE, _INT, _TENSOR, _TEXT = 0, 1, 7, 8
_PLAIN = {_NONE: 0, _INT: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8}  # with the bytes of each
_SIZED = (_TEXT, 9)
_OBJECTS = (11, 12, 65, 66)  # texts and bytes, said twice
_HANDLE = 4


class ReplyError(Exception):
    """A board sent what is no answer; the message says what."""


class Replies:
    """It takes what comes from a board, and gives what may go on."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._greeted = False

    def take(self, data: bytes) -> bytes:
        """Return whole messages that are answers; what is not whole is kept.

        Raises:
            ReplyError: what came is no answer, or a larger one than is taken.
        """
        self._held += data
        passed = bytearray()
        while size := self._whole():
            passed += self._held[:size]
            del self._held[:size]
        return bytes(passed)

    def _whole(self) -> int:
        """Return the bytes of the next message, greeting included; 0 where more must come."""
        if not self._greeted:
            return self._greeting()
        if len(self._held) < 8:
            return 0
        (size,) = struct.unpack_from("<Q", self._held)
        if size > LARGEST:
            raise ReplyError(f"it sent {size:,} bytes at once, of {LARGEST:,} that are taken")
        if len(self._held) < 8 + size:
            return 0
        if size:
            _require_answer(bytes(self._held[8 : 8 + size]))
        return int(8 + size)

    def _greeting(self) -> int:
        if len(self._held) < 4:
            return 0
        (code,) = struct.unpack_from("<i", self._held)
        if code in _REFUSALS:
            return 4
        if code != _MAGIC:
            raise ReplyError("it is no TVM RPC server")
        if len(self._held) < 8:
            return 0
        (length,) = struct.unpack_from("<i", self._held, 4)
        if not 0 <= length <= _LONGEST_KEY:
            raise ReplyError("its greeting is none of TVM's")
        if len(self._held) < 8 + length:
            return 0
        self._greeted = True
        return int(8 + length)


def exception(sentence: str) -> bytes:
    """Return the message by which a board says what went wrong: TVM's client raises it."""
    text = sentence.encode()
    body = struct.pack("<iiiQ", _EXCEPTION, 1, _TEXT, len(text)) + text
    return struct.pack("<Q", len(body)) + body


def _require_answer(message: bytes) -> None:
    reader = _Values(message)
    code = reader.number("<i")
    if code in (_RETURN, _EXCEPTION):
        kinds = [kind for kind, _ in reader.values()]
        if not _is_form(code, kinds):
            raise ReplyError("its answer is none of TVM's")
    elif code not in (_SHUTDOWN, _COPIED):
        raise ReplyError("it sent a call in place of an answer")


def _is_form(code: int, kinds: list[int]) -> bool:
    """Say whether values are such that TVM's client looks for no more, and for no other."""
    texts = (_TEXT, *_OBJECTS)
    if code == _EXCEPTION:
        return len(kinds) == 1 and kinds[0] in texts
    if kinds == [_INT, _TENSOR, _HANDLE]:
        return True
    return (len(kinds) == 1 or (len(kinds) == 2 and kinds[0] == _INT)) and _TENSOR not in kinds


class _Values:
    """It reads the values of one message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def number(self, form: str) -> int:
        """Return the next number."""
        at = self._skip(struct.calcsize(form))
        return int(struct.unpack_from(form, self._message, at)[0])

    def values(self) -> Iterator[tuple[int, int]]:
        """Yield the kind of each value, and where it begins.

        Raises:
            ReplyError: one is of a kind that no answer has, or ends beyond the message.
        """
        for _ in range(self.number("<i")):
            kind = self.number("<i")
            begins = self._at
            if kind in _PLAIN:
                self._skip(_PLAIN[kind])
            elif kind in _SIZED or (kind in _OBJECTS and self.number("<I") in _OBJECTS):
                self._skip(self.number("<Q"))
            elif kind == _TENSOR:
                self._tensor()
            else:
                raise ReplyError("its answer holds what is no value")
            yield kind, begins

    def _tensor(self) -> None:
        """Read where it is on the board, its device, type and shape, and where it begins."""
        self._skip(16)
        axes = self.number("<i")
        _, bits, lanes = struct.unpack_from("<BBH", self._message, self._skip(4))
        size = bits * lanes // 8
        if not 0 <= axes <= 8:
            raise ReplyError("its answer holds what is no tensor")
        for _ in range(axes):
            size *= max(self.number("<q"), 0)
        if size > LARGEST:
            raise ReplyError(f"it has a tensor of {size:,} bytes, of {LARGEST:,} that are taken")
        self._skip(8)

    def _skip(self, size: int) -> int:
        """Return where so many bytes begin, which are passed over."""
        at = self._at
        self._at += size
        if self._at > len(self._message):
            raise ReplyError("its answer ends in the middle")
        return at

"""Reads lists of images out of a pickle, without running what else a pickle may hold.

A pickle is a program: `pickle.load` calls whatever function the file names. Here
the few instructions that build lists of bytes and booleans are carried out one by
one, and a global is a name to be looked up in a table of three harmless stand-ins.
No module is imported and nothing of the file is called, whatever it says.

Instructions: the `pickletools` module of Python's standard library, which is used
to read them and does not execute any. Python 2 wrote text where Python 3 writes
bytes, and numpy's arrays come in two forms (numpy 1 and 2; protocol 5).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.reading import regular

_ADVICE = "use a file that insightface's lfw2pack.py or a converter like it wrote"
_MARK = object()


@dataclass
class Array:
    """It is what a pickled numpy array holds.

    Attributes:
        kind: of the elements, as numpy writes it, such as `u1` or `b1`.
        data: the elements' bytes.
    """

    kind: str = ""
    data: bytes = b""


@dataclass(frozen=True)
class _Global:
    """A name in a module, which is not imported."""

    module: str
    name: str


@dataclass(frozen=True)
class _Dtype:
    kind: str


class _RefusedGlobalError(Exception):
    """A global or an instruction that is not admitted."""


def read_pickle(path: Path) -> Any:
    """Return the lists, tuples, bytes, texts, numbers and `Array`s in a pickle; bytes are held
    once.

    Raises:
        BadInputError: the file can't be read, is truncated or no pickle, or wants
            anything else; the message names what.
    """
    try:
        with regular(path).open("rb") as file:
            return _Machine().run(_Bounded(file, path.stat().st_size))
    except _RefusedGlobalError as refusal:
        raise BadInputError(
            f"{path} wants {refusal}, which no list of images needs, so it is not loaded: {_ADVICE}"
        ) from None
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    # What a damaged instruction does to a stack or a text; nothing else is executed.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise BadInputError(
            f"{path} is truncated or no pickle of images: copy it anew, or {_ADVICE}"
        ) from error


class _Bounded:
    """A file that never makes room for more bytes than it has, whatever length it is asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.readline = file.readline
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size - self._file.tell()))


class _Machine:
    """It is the stack and the memo that a pickle works on."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """Return what is left on the stack at the end."""
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _LITERALS:
                self._stack.append(_LITERALS[name](argument))
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in _IGNORED:
                raise _RefusedGlobalError(f"the instruction {name}")
        return self._stack.pop()

    def _above_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def top(self, kind: type) -> Any:
        """Return the topmost element, which must be of that kind."""
        if type(self._stack[-1]) is not kind:
            raise ValueError(f"no {kind.__name__}")
        return self._stack[-1]

    def append(self, _: Any) -> None:
        item = self._stack.pop()
        self.top(list).append(item)

    def extend(self, _: Any) -> None:
        items = self._above_mark()
        self.top(list).extend(items)

    def put(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else int(index)] = self._stack[-1]

    def get(self, index: int) -> None:
        self._stack.append(self._memo[int(index)])

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("stack is too short")
        items = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        self._stack.append(items)

    def marked(self, kind: Callable[[list[Any]], Any]) -> None:
        self._stack.append(kind(self._above_mark()))

    def named(self, text: str | None) -> None:
        """Push a global, named by one text with a space or by two on the stack."""
        if text is None:
            name, module = self._stack.pop(), self._stack.pop()
        else:
            module, _, name = text.partition(" ")
        if type(module) is not str or type(name) is not str:
            raise ValueError("no name")
        found = _Global(module[:80], name[:80])
        if _plain(found) not in _ADMITTED:
            raise _RefusedGlobalError(ascii(f"{found.module}.{found.name}"))
        self._stack.append(found)

    def call(self, _: Any) -> None:
        arguments = self._stack.pop()
        function = self.top(_Global)
        stand_in = _ADMITTED[_plain(function)]
        if stand_in is None:
            raise _RefusedGlobalError(f"a call of {function.module}.{function.name}")
        self._stack[-1] = stand_in(*arguments)

    def build(self, _: Any) -> None:
        """Fill the array below with the state above; a dtype's state says nothing that counts."""
        state = self._stack.pop()
        if isinstance(self._stack[-1], _Dtype):
            return
        array = self.top(Array)
        _, _, kind, _, data = state
        array.kind, array.data = kind.kind, _bytes(data)


def _plain(found: _Global) -> tuple[str, str]:
    """Return the name under which a global is admitted, whatever release wrote it."""
    module = found.module.replace("numpy._core.", "numpy.core.")
    return module.replace("__builtin__", "builtins"), found.name


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray)):
        raise ValueError("no bytes")
    return bytes(value)


def _encode(text: str, encoding: str | bytes) -> bytes:
    if encoding not in ("latin1", b"latin1"):
        raise ValueError("not latin1")
    return text.encode("latin1")


def _dtype(kind: str | bytes, *_: Any) -> _Dtype:
    return _Dtype(kind.decode() if isinstance(kind, bytes) else kind)


def _scalar(dtype: _Dtype, data: bytes) -> int:
    value = int.from_bytes(_bytes(data)[:8], "little")
    return bool(value) if dtype.kind == "b1" else value


def _frombuffer(data: Any, dtype: _Dtype, *_: Any) -> Array:
    return Array(dtype.kind, _bytes(data))


# Globals by module and name, and what is done for a call of them; none where only the name is used.
_ADMITTED: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("_codecs", "encode"): _encode,
    ("builtins", "bytearray"): _bytes,
    ("builtins", "bytes"): lambda data=b"": _bytes(data),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: Array(),
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK}
# Python 2's text, which held bytes, is read as Latin-1 by pickletools.
_LITERALS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG1"), lambda value: value),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), lambda value: value),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), lambda value: value),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), lambda text: text.encode("latin1")),
    "BYTEARRAY8": bytes,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE": lambda machine, _: machine.marked(tuple),
    "LIST": lambda machine, _: machine.marked(list),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _Machine.named),
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})

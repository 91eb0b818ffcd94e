"""Stored JSON and TOML are read into dataclasses, their types checked, or refused in a sentence.

What is refused in the same way whatever the file: text that is no UTF-8, NaN and infinity in
JSON, numbers of thousands of digits, and nesting that is too deep.
"""

from __future__ import annotations

import base64
import difflib
import json
import math
import re
import tomllib
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, fields, is_dataclass, make_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from facebench.architectures.errors import BadInputError

T = TypeVar("T")

# Packed figures unpack to no more than this: a hostile file can't fill the memory.
_LARGEST = 2**28

_DEEP = "it is nested too deeply"


class Packed(bytes):
    """They are bytes that JSON holds compressed, as base64 of zlib."""

    def to_text(self) -> str:
        """Compress the bytes."""
        return base64.b64encode(zlib.compress(self)).decode()

    @classmethod
    def from_text(cls, text: str) -> Packed:
        """Unpack what `to_text` made.

        Raises:
            ValueError: the text is none of it, or unpacks to more than 256 MiB.
        """
        data = zlib.decompressobj()
        try:
            unpacked = data.decompress(base64.b64decode(text, validate=True), _LARGEST)
        except zlib.error as error:
            raise ValueError(f"it does not unpack ({error})") from error
        if data.unconsumed_tail:
            raise ValueError(f"it unpacks to more than {_LARGEST} bytes")
        return cls(unpacked)


def to_text(data: Any) -> str:
    """Write JSON in one line, as ASCII.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(data, allow_nan=False)


def parse_json(text: bytes | str) -> Any:
    """Parse a JSON text.

    Raises:
        BadInputError: it is damaged or no JSON, or holds NaN or infinity.
    """
    try:
        return _parsed(text)
    except RecursionError as error:
        raise BadInputError(_DEEP) from error
    except ValueError as error:
        raise BadInputError(_lower(str(error))) from error


def _parsed(text: bytes | str) -> Any:
    try:
        return msgspec.json.decode(text)
    except ValueError:
        # A file's name may be no Unicode, and its record has half a surrogate pair then,
        # which msgspec does not read.
        if not re.search(rb"\\u[dD][89a-fA-F]", text if isinstance(text, bytes) else _bytes(text)):
            raise
        return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML text.

    Raises:
        BadInputError: it is damaged or no TOML.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise BadInputError(_DEEP) from error
    except ValueError as error:
        raise BadInputError(_lower(str(error))) from error


def read_toml(path: Path, noun: str) -> dict[str, Any]:
    """Read a TOML file, with or without the mark of its byte order that Windows begins it with.

    Args:
        path: the file.
        noun: what it should be, such as "plan".

    Raises:
        BadInputError: it can't be read, or is damaged or no TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, BadInputError) as error:
        raise BadInputError(f"{path} is no {noun} that can be read: {error}") from error


def convert(data: Any, kind: type[T], extra: bool = False) -> T:
    """Make a value of a type from parsed JSON: lists become tuples, objects dataclasses.

    A type is kept to: no text is read as a number, and a whole number alone may stand for any.

    Args:
        data: parsed JSON or TOML.
        kind: a dataclass, or any type that msgspec knows.
        extra: whether an object may have keys that its dataclass lacks; they are passed over.

    Raises:
        BadInputError: it is none; the message says where, and what is wrong.

    Example:
        >>> from facebench.harness.machine.busy import Share
        >>> convert({"stolen": 0.0, "others": 0.5, "cpus": 2}, Share)
        Share(stolen=0.0, others=0.5, cpus=2)
        >>> convert({"stolen": 0.0, "others": 0.5, "cpus": "2"}, Share)
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.BadInputError: cpus: expected `int`, got `str`
    """
    # Before a key is said to be missing: it may be there under a wrong name.
    for path in () if extra else _strangers(kind, data):
        raise BadInputError(f"unknown key {path}")
    try:
        return msgspec.convert(data, kind, dec_hook=_custom)
    except RecursionError as error:
        raise BadInputError(_DEEP) from error
    except msgspec.ValidationError as error:
        raise BadInputError(_sentence(str(error))) from error
    except UnicodeEncodeError as error:  # msgspec's, for half a surrogate pair
        raise BadInputError("a text is no Unicode") from error


def without(kind: Any, name: str) -> Any:
    """Make a dataclass of another's fields but one: what msgspec can't read by its type alone."""
    hints = get_type_hints(kind)
    kept: list[Any] = [
        (f.name, hints[f.name], field(default=f.default, default_factory=f.default_factory))
        for f in fields(kind)
        if f.name != name
    ]
    return make_dataclass(kind.__name__, kept)


def convert_settings(
    data: Mapping[str, Any], kind: Any, where: str, reserved: Collection[str] = ()
) -> dict[str, Any]:
    """Check what a user wrote in a TOML file against a dataclass of settings.

    Args:
        data: the parsed file.
        kind: a dataclass, whose annotations by `msgspec.Meta` say what a value may be.
        where: the file, for messages.
        reserved: fields that no file may set.

    Returns:
        The values by name, of the dataclass's types.

    Raises:
        BadInputError: a key is unknown, and then the nearest known one is named; or a value is
            none of its key's.
    """
    hints = get_type_hints(kind, include_extras=True)
    hints = {name: hint for name, hint in hints.items() if name not in reserved}
    made = {}
    for key, value in data.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadInputError(f"{where}: unknown key {key!r}: {hint}(known: {', '.join(hints)})")
        try:
            made[key] = msgspec.convert(value, hints[key])
        except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
            raise BadInputError(
                f"{where}: {key} = {_short(value)} is not valid: {_expected(hints[key])}"
            ) from error
    return made


def _expected(hint: Any) -> str:
    """Say what values a type has."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) in (Union, UnionType):  # with None, which no file can say
        return _expected(get_args(hint)[0])
    if get_origin(hint) is not Annotated:
        return _NOUNS[hint]
    inner, note = get_args(hint)
    if note.description:
        return str(note.description)
    low = f"from {note.ge:g}" if note.gt is None else f"above {note.gt:g}"
    return f"{_expected(inner)} {low} to {note.le:,}"


_NOUNS = {bool: "true or false", float: "a number", int: "a whole number", str: "a text"}


def _short(value: Any) -> str:
    try:
        return f"{value!r:.100}"
    except (RecursionError, ValueError):  # a number of thousands of digits has no text
        return "..."


def _custom(kind: Any, value: Any) -> Any:
    """Make what JSON has no type for."""
    if isinstance(value, str) and kind is Path:
        return Path(value)
    if isinstance(value, str) and kind is Packed:
        return Packed.from_text(value)
    return value  # which msgspec refuses, where it is of another type


def _strangers(kind: Any, data: Any, path: str = "") -> Iterator[str]:
    """Find the keys that a dataclass does not have; msgspec passes over them."""
    if not isinstance(kind, type) or not is_dataclass(kind) or not isinstance(data, dict):
        return
    nested = _nested(kind)
    for key, value in data.items():
        here = f"{path}.{key}" if path else str(key)
        if key not in nested:
            yield here
        elif (inner := nested[key]) is not None:
            for item in value if isinstance(value, list | tuple) else (value,):
                yield from _strangers(inner, item, here)


@cache
def _nested(kind: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, with the dataclass that each holds."""
    hints = get_type_hints(kind)
    return {f.name: _dataclass_in(hints[f.name]) for f in fields(kind)}


def _dataclass_in(hint: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _dataclass_in(part))), None)


def _sentence(text: str) -> str:
    """Say msgspec's message with the place before it: "a.b: expected `int`, got `str`"."""
    what, _, place = text.rpartition(" - at `$")
    if not what:
        return _lower(text)
    return f"{place.rstrip('`').lstrip('.')}: {_lower(what)}"


def _lower(text: str) -> str:
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"{missing[1]} is missing"
    return text[:1].lower() + text[1:] if not text.startswith("JSON") else text

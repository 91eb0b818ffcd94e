"""Odd values in files of others: one place of a good file holds what nobody meant."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

_HERE = "@@here@@"

# As they stand in the text.
JSON = (
    *("1e999", "1e308", "-1e308", "5e-324", "0", "-0.0", "-1", "0.5", "1e15", "9" * 5000),
    *(str(2**31), str(2**63), str(-(2**63)), str(2**64), "1." + "0" * 5000, "true", "null"),
    *('""', '"x"', "[]", "{}", "[null]", "[[]]", '{"a": 1}', "[1, 2]", "[-1]", '"a\\nb"'),
    *('"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\u001b[2J"', '"\\u202e"', '"=cmd()"'),
    *('"../../etc/passwd"', '"\\n=1"', '"<script>"', '"]]>&"', '"%s%n"', '"\\\\input{x}"'),
    *('"' + "a" * 200_000 + '"', "[" * 3000 + "]" * 3000, '{"a":' * 2000 + "1" + "}" * 2000),
)  # fmt: skip
NO_JSON = (
    *("NaN", "Infinity", "-Infinity", "[" * 100_000, '"\xff"', "'x'", "01", "+1", "1_000", "0x10"),
    *("", "//", "[1,]", "[" + "1," * 20_000 + "1]"),
)
TOML = (
    *("nan", "inf", "-1", "0", "1e308", "9" * 5000, str(2**63), "true", '""', '"x"', "[]", "{}"),
    *("[" * 3000, "[" * 300 + "]" * 300, "{a=" * 2000 + "1" + "}" * 2000, "1979-05-27", "07:32:00"),
    *('"\\u0000"', '"\\u001b[2J"', '"\\ud800"', '["\\u0000"]', '["onnx:\\u0000"]', '"""\n=x"""'),
    *('["onnx:/dev/zero"]', '["../../etc/passwd"]', '["' + "a" * 100_000 + '"]', "[1, 2]", "['x']"),
    *('["rpc://127.0.0.1:1"]', '["local", "local"]', "[nan]", "[1.5]", "a.b.c = 1", "[[x]]", ""),
)  # fmt: skip


def spoiled(data: Any, chance: random.Random) -> str:
    """JSON with an odd value in one or two places, a key that is gone, or one too many."""
    copy = json.loads(json.dumps(data))
    drawn = []
    for _ in range(chance.choice((1, 1, 1, 2))):
        holder, key = chance.choice(list(_places(copy)))
        match chance.randrange(10):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(("x", "\0", "", "a.b", "schema"))] = 1
            case _:
                holder[key] = f"{_HERE}{len(drawn)}@@"
                drawn.append(chance.choice(JSON if chance.random() < 0.9 else NO_JSON))
        if not list(_places(copy)):
            break
    text = json.dumps(copy)
    for number, value in enumerate(drawn):
        text = text.replace(f'"{_HERE}{number}@@"', value)
    return text


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of parsed JSON; the long lists of figures count for few."""
    pairs = data.items() if isinstance(data, dict) else list(enumerate(data))[:4]
    for key, value in pairs:
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def spoiled_toml(lines: list[str], chance: random.Random) -> str:
    """TOML with an odd value at one or two keys."""
    made = list(lines)
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(made))
        key = made[at].partition("=")[0]
        if chance.random() < 0.1:
            key = chance.choice(('"\\u0000" ', '"" ', '"a.b" ', "x.y.z ", '"' + "k" * 9999 + '" '))
        made[at] = f"{key}= {chance.choice(TOML)}"
    return "\n".join(made) + "\n"

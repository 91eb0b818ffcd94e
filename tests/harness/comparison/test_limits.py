"""Limits of counts: how they are written, what is above them, and the hook that holds them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.limits import limits
from tests.harness.command_line import facebench

TOP = Path(__file__).parents[3]
(HOOK,) = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "M", "G"]))
def test_a_limit_is_a_number_with_or_without_its_thousands(number: int, unit: str) -> None:
    whole = number * 1000 ** " kMG".index(unit or " ")
    assert limits(f"madds={number}{unit}") == {"madds": whole}
    assert limits(f" madds={number}.5k , bytes=1 ") == {"madds": number * 1000 + 500, "bytes": 1}


@pytest.mark.parametrize("text", ["madds", "madds=", "flops=1M", "madds=-1", "madds=1T", "=3"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="is no limit: write such as madds=220M"):
        limits(text)


# The network of the tests, counted by hand: 3x3 convolutions of 8 filters over 3 channels, on 8x8
# places, then by channel; and 8 filters over all of the 8x8x8 map.
MADDS = 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 8 * 8 * 8 * 8


@pytest.mark.parametrize(("most", "code"), [(MADDS, 0), (MADDS - 1, 1)])
def test_the_exit_code_says_whether_a_file_is_within_its_limits(
    tiny_onnx: Path, most: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert facebench("cost", tiny_onnx, "--at-most", f"madds={most},parameters=1G") == code
    said = capsys.readouterr().err
    assert (f"madds {MADDS:,} of {most:,} at most" in said) == bool(code)
    assert "parameters" not in said


def test_the_hook_takes_model_files_and_counts_them(
    tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [one for one in ("a/face.onnx", "b.tflite", "c.onnx.data", "d.py")
             if re.search(HOOK["files"], one)]  # fmt: skip
    assert found == ["a/face.onnx", "b.tflite"]
    program, *command = [*shlex.split(HOOK["entry"]), *HOOK["args"]]
    assert program == "facebench"
    assert facebench(*command, tiny_onnx) == 0
    assert f"{MADDS / 1e6:.1f}" in capsys.readouterr().out

"""ncnn computes in half precision where its kernels are right, and in single where one is not."""

from pathlib import Path

import pytest

from facebench.harness.runtimes import ncnn_half
from facebench.harness.runtimes.registry import RUNTIMES
from tests.depthwise import SIZE, written


def halved(single: Path, folder: Path, size: int = SIZE) -> list[str]:
    """The lines of the layers, once they are to be computed in half precision."""
    folder.mkdir()
    ncnn_half.write(single, folder, (size, size))
    assert (folder / ncnn_half.WEIGHTS).read_bytes() == (single / ncnn_half.WEIGHTS).read_bytes()
    return (folder / ncnn_half.PARAM).read_text().splitlines()[3:]


@pytest.mark.parametrize(
    ("size", "wrong"), [(32, False), (34, False), (36, True), (28, True), (29, True), (30, True)]
)
def test_widths_of_which_the_kernel_is_wrong_are_computed_in_single_precision(
    tmp_path: Path, size: int, wrong: bool
) -> None:
    # Widths of 16, 17, 18, 14, 15 and 15: two or three more than a multiple of four.
    pointwise, depthwise = halved(written(tmp_path / "single"), tmp_path / "half", size)
    assert depthwise.endswith(" 31=1") == wrong
    assert "31=1" not in pointwise


@pytest.mark.parametrize(
    ("shape", "taps"), [("1=3", 9), ("1=5 3=2", 25), ("1=3 2=2 3=2", 9), ("1=3 11=1 3=2", 3)]
)
def test_other_layers_stay_in_half_precision(tmp_path: Path, shape: str, taps: int) -> None:
    lines = halved(written(tmp_path / "single", shape, taps), tmp_path / "half")
    assert not any("31=1" in line for line in lines)


def test_ncnn_runs_fp16_on_cores_that_have_it_alone() -> None:
    ncnn = RUNTIMES["ncnn"]
    assert ncnn.precisions_on("cortex-a76") == ("fp32", "fp16")
    for target in ("cortex-a72", "cortex-a53", "host", ""):
        assert ncnn.precisions_on(target) == ("fp32",)

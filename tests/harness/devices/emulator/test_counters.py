"""Counters of made-up regions."""

import pytest

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.devices.emulator.counters import Tally, pack, region, tally, together
from facebench.harness.machine.cores import CORES

FMLA = "20cc214e"
LOAD = "0000c03d"

MAPS = "5500000000-5500010000 r-xp 00000000 fe:00 1    /nowhere/libncnn.so\n"


def line(address: int, executions: int, code: str, *figures: int) -> str:
    rest = [*figures, *[0] * (6 - len(figures))]
    return " ".join(map(str, [address, len(code) // 8, executions, *rest, code]))


def test_an_inference_is_the_difference_of_two_and_one() -> None:
    one = [line(0x5500000000, 10, FMLA + LOAD, 160, 0, 3), line(0x10, 7, FMLA)]
    two = [line(0x5500000000, 18, FMLA + LOAD, 288, 0, 4), line(0x10, 7, FMLA)]
    total, kernels = tally(pack(MAPS, map("\n".join, (one, two))), "EM_AARCH64", None)
    assert (total.instructions, total.loaded, total.l1) == (16, 128, 1)
    nothing = {"simd": 0, "store": 0, "branch": 0, "integer": 0, "nop": 0}
    assert total.mix == {"fma": 8, "load": 8, **nothing}
    assert {name: kernel.instructions for name, kernel in kernels.items()} == {"libncnn.so": 16}


def test_code_that_was_translated_twice_is_one_block() -> None:
    one = [line(16, 1, FMLA)]
    two = [line(16, 2, FMLA, 5), line(16, 3, FMLA, 6)]
    total, _ = tally(pack("", map("\n".join, (one, two))), "EM_AARCH64", None)
    assert (total.instructions, total.loaded) == (4, 11)


def test_instructions_of_two_bytes_are_instructions() -> None:
    # Four of Thumb in eight bytes, executed three times.
    thumb = "16 4 3 0 0 0 0 0 0 00bf00bf00bf7047"
    total, _ = tally(pack("", ["", thumb]), "EM_ARM", None)
    assert total.instructions == 12


def test_code_outside_any_library_is_told_so() -> None:
    texts = ["", line(16, 1, FMLA)]
    _, kernels = tally(pack(MAPS, texts), "EM_AARCH64", None)
    assert list(kernels) == ["outside any library"]


def test_cycles_are_of_each_block_by_itself() -> None:
    # Two multiply-adds onto one sum wait three cycles for each other; a load is issued a cycle.
    texts = ["", "\n".join([line(16, 5, FMLA * 2), line(32, 4, LOAD)])]
    figures = CORES["cortex-a72"].figures
    assert figures is not None
    total, _ = tally(pack("", texts), "EM_AARCH64", figures)
    assert total.cycles == pytest.approx(5 * 2 * 3 + 4 * 1)
    found = region(texts[1], "EM_AARCH64", figures)
    assert found.instructions == 5 * 2 + 4
    assert found.cycles == total.cycles


def test_parts_sum_to_the_whole() -> None:
    texts = ["", "\n".join([line(16, 5, FMLA, 80, 1, 2, 3, 4, 5), line(0x5500000000, 4, LOAD, 64)])]
    figures = CORES["kryo"].figures
    total, kernels = tally(pack(MAPS, texts), "EM_AARCH64", figures)
    assert together(kernels.values()) == total
    assert together([]) == Tally()


@pytest.mark.parametrize("texts", [[], [""], ["", ""], [line(16, 2, FMLA), line(16, 1, FMLA)]])
def test_nothing_counted_is_no_answer(texts: list[str]) -> None:
    with pytest.raises(WrongAnswerError):
        tally(pack("", texts), "EM_AARCH64", None)

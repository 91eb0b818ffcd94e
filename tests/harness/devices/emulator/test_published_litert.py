"""Published times of TensorFlow Lite, and counts of it, are what docs/model.md says of them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from facebench.harness.devices.emulator import calibration, model
from facebench.harness.devices.emulator.published import Row
from facebench.harness.devices.emulator.published_litert import (
    OWN_KERNELS,
    Code,
    counts,
    rows,
    times,
)
from facebench.harness.machine.boards import BOARDS
from tests.places import ROOT

XNNPACK = Code(OWN_KERNELS.release, "xnnpack")

# Multiply-adds of an image of 224x224 in millions, as the papers of the networks tell them.
PUBLISHED_MADDS = {"mobilenet_wd4": 41, "mobilenet_wd2": 149, "squeezenet_v1_1": 349}


@pytest.fixture
def arm_model_litert(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("arm_model_litert")


def shipped_constants() -> np.ndarray:
    by = model.constants()
    return np.array([by.pipeline, by.l1_misses, by.memory])


def logarithms(found: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Errors of ncnn's constants, by part of a phone and network."""
    return {
        (one.row.time.board, one.row.time.network): one.error
        for one in calibration.errors(list(found), shipped_constants())
    }


def test_every_published_time_has_a_board_and_a_line_of_its_own() -> None:
    for time in times():
        assert time.board in BOARDS
        assert 2 <= time.line <= 103  # 102 networks below a line of names
        assert 1 < time.ms < 10_000
    assert len({(time.board, time.line) for time in times()}) == len(times())
    assert len({(time.board, time.network) for time in times()}) == len(times())


def test_networks_execute_an_instruction_for_four_multiply_adds_and_few_others() -> None:
    for code, some in counts().items():
        assert {one.network for one in some} >= PUBLISHED_MADDS.keys() - {"mobilenet_wd4"}, code
        for one in some:
            if madds := PUBLISHED_MADDS.get(one.network):
                assert 1 < one.instructions / (madds * 1e6 / 4) < 4, one


def test_ncnns_constants_are_off_for_its_own_kernels_by_little_more_than_for_ncnn() -> None:
    found = [
        abs(one.relative)
        for one in calibration.errors(rows(OWN_KERNELS), shipped_constants())
        if one.row.time.device != "Galaxy A03s"
    ]
    assert np.mean(found) <= 0.15
    assert np.percentile(found, 90) <= 0.27


def test_the_published_times_are_none_of_xnnpacks() -> None:
    own, xnnpack = (logarithms(rows(code)) for code in (OWN_KERNELS, XNNPACK))
    shared = own.keys() & xnnpack.keys()
    assert len(shared) >= 20
    # As one kernel for the other would show: all times farther off, and networks less alike.
    assert all(own[key] < xnnpack[key] for key in shared)
    for board in {board for board, _ in shared}:
        one, other = (
            np.std([found[key] for key in shared if key[0] == board]) for found in (own, xnnpack)
        )
        assert one < 0.75 * other


def test_the_page_has_the_tables_that_the_data_give(arm_model_litert: ModuleType) -> None:
    page = (ROOT / "docs" / "model.md").read_text()
    assert "\n".join(arm_model_litert.table()) in page

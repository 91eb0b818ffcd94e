"""Fits the model of ARM milliseconds to published times, and judges it on what it did not see.

    python benchmarks/arm_model.py          # prints the table
    python benchmarks/arm_model.py --save   # and writes results/arm_model/constants.toml

Published times and counts are in results/arm_model; benchmarks/arm_counts.py counts again, and
benchmarks/arm_counts_litert.py those of TensorFlow Lite, which nothing shipped is fitted to.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import arm_model_litert
import numpy as np

from facebench.harness.devices.emulator import calibration
from facebench.harness.devices.emulator.anchors import anchored
from facebench.harness.devices.emulator.calibration import Left, RatioError
from facebench.harness.devices.emulator.published import Row, rows

CONSTANTS = Path(__file__).parents[1] / "results" / "arm_model" / "constants.toml"

LEFT_OUT = {
    "network": (calibration.network,),
    "device": (calibration.device,),
    "core family": (calibration.family,),
    "core family and network": (calibration.family, calibration.network),
}

# Of pairs of networks, by how wide the interval of their ratio is.
QUARTERS = ("the most alike quarter", "the second", "the third", "the least alike")

# What is known of a device, beside the row that is modelled.
KNOWN: dict[str, Callable[[Left, Left], bool]] = {
    "nothing": lambda one, other: False,
    "its time of MobileNetV1": lambda one, other: other.row.time.network == "mobilenet",
    "its times of all other networks": lambda one, other: True,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--save", action="store_true", help="write results/arm_model/constants.toml"
    )
    found = rows()
    if parser.parse_args().save:
        CONSTANTS.write_text(constants(found))
    print("\n".join([*table(found), "", *arm_model_litert.table()]))


def table(found: Sequence[Row]) -> Iterator[str]:
    """Yield the lines on ncnn that the page docs/model.md shows."""
    by = calibration.fit(found)
    yield f"{_extent(found)}; constants {', '.join(f'{one:.2f}' for one in by)}"
    yield ""
    yield "| left out | mean | median | 90th percentile |"
    yield "|---|---|---|---|"
    yield _line("nothing (fit)", calibration.errors(found, by))
    for name, keys in LEFT_OUT.items():
        yield _line(name, calibration.left_out(found, *keys))
    yield ""
    yield "| core, left out | device | rows | ncnn of | mean error | bias |"
    yield "|---|---|---|---|---|---|"
    left = calibration.left_out(found, calibration.family)
    yield from _devices(left)
    yield ""
    yield "| core left out, but known of the device | mean | 90th percentile | intervals hold |"
    yield "|---|---|---|---|"
    for name, knows in KNOWN.items():
        yield _anchored(name, anchored(left, knows))
    yield ""
    reach = np.exp(calibration.half_width(_errors(left)))
    held = 100 * calibration.coverage(found)
    yield f"95 % intervals of times: x or / {reach:.2f}; hold {held:.1f} % left out"
    yield ""
    yield "| ratios of two networks, core left out | pairs | mean error | interval | holds |"
    yield "|---|---|---|---|---|"
    yield from _ratios(calibration.ratio_coverage(found))


def _ratios(found: Sequence[tuple[RatioError, float]]) -> Iterator[str]:
    """Yield lines by how wide the interval is: the narrowest quarter of the pairs, and on."""
    ordered = sorted(found, key=lambda one: one[1])
    for name, part in [*zip(QUARTERS, np.array_split(np.arange(len(ordered)), 4), strict=True)]:
        yield _ratio_line(name, [ordered[number] for number in part])
    yield _ratio_line("all", ordered)


def _ratio_line(name: str, found: Sequence[tuple[RatioError, float]]) -> str:
    off = 100 * np.mean([np.exp(abs(pair.error)) - 1 for pair, _ in found])
    least, most = (np.exp(reach) for reach in (found[0][1], found[-1][1]))
    held = 100 * np.mean([abs(pair.error) <= reach for pair, reach in found])
    width = f"x or / {least:.2f} to {most:.2f}"
    return f"| {name} | {len(found)} | {off:.1f} % | {width} | {held:.1f} % |"


def _anchored(name: str, found: Sequence[tuple[Left, float]]) -> str:
    off = 100 * np.abs([one.relative for one, _ in found])
    held = 100 * np.mean([abs(one.error) <= reach for one, reach in found])
    return f"| {name} | {off.mean():.1f} % | {np.percentile(off, 90):.1f} % | {held:.1f} % |"


def constants(found: Sequence[Row]) -> str:
    """Return the text of constants.toml."""
    by = calibration.fit(found)
    left = calibration.left_out(found, calibration.family)
    spread = calibration.spread(left)
    pairs = calibration.pairs(left)
    ratios = calibration.ratio_spread(pairs)
    lines = {
        "pipeline": by[0],
        "l1_misses": by[1],
        "memory": by[2],
        "time_reach": calibration.half_width(_errors(left)),
        "ratio_base": ratios.base,
        "ratio_memory": ratios.memory,
        "ratio_size": ratios.size,
        "ratio_reach": calibration.half_width(calibration.scores(pairs, ratios)),
        "between": spread.between,
        "within": spread.within,
    }
    return "\n".join(
        [
            "# Of the model in harness/devices/emulator/model.py. 'python benchmarks/arm_model.py",
            "# --save' writes it, from published.csv and counts.csv beside it.",
            f'fitted_to = "{_extent(found)} (ncnn, benchmark/README.md, one thread)"',
            f"rows = {len(found)}",
            f"devices = {_count(found, calibration.device)}",
            f"families = {_count(found, calibration.family)}",
            *(f"{name} = {value:.6f}" for name, value in lines.items()),
            "",
        ]
    )


def _extent(found: Sequence[Row]) -> str:
    devices, families = (_count(found, key) for key in (calibration.device, calibration.family))
    return f"{len(found)} published times of {devices} devices with cores of {families} families"


def _count(found: Sequence[Row], key: calibration.Key) -> int:
    return len({key(row) for row in found})


def _errors(left: Sequence[Left]) -> list[float]:
    return [one.error for one in left]


def _line(name: str, left: Sequence[Left]) -> str:
    found = 100 * np.abs([one.relative for one in left])
    mean, median, most = found.mean(), np.median(found), np.percentile(found, 90)
    return f"| {name} | {mean:.1f} % | {median:.1f} % | {most:.1f} % |"


def _devices(left: Sequence[Left]) -> Iterator[str]:
    groups: dict[tuple[str, str, str], list[float]] = {}
    for one in left:
        key = (one.row.time.core, one.row.time.device, one.row.count.version)
        groups.setdefault(key, []).append(100 * one.relative)
    for (core, device, ncnn), found in sorted(groups.items()):
        mean = np.abs(found).mean()
        bias = np.mean(found)
        yield f"| {core} | {device} | {len(found)} | {ncnn} | {mean:.1f} % | {bias:+.1f} % |"


if __name__ == "__main__":
    main()

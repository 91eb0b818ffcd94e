"""Reads times that were measured on a phone, in the forms in which people have them.

These are lines such as `MobileNetV1 31.5 ms`, and what ncnn's benchmark program prints. What
TFLite's benchmark_model prints is known and refused: the model's intervals are of ncnn, whose
kernels these are none of.
"""

from __future__ import annotations

import re

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.devices.emulator.published import counts
from facebench.harness.machine.phones import Figure

_LINE = re.compile(r"^\s*([A-Za-z][\w .-]*?)\s*[:=]?\s+([0-9]+(?:\.[0-9]+)?)\s*ms\s*$")
_NCNN = re.compile(r"^\s*(\S+)\s+min\s*=\s*([0-9.]+)\s+max\s*=\s*[0-9.]+\s+avg\s*=\s*[0-9.]+\s*$")
_THREADS = re.compile(r"^\s*num_threads\s*=\s*(\d+)\s*$")
_TFLITE = re.compile(r"Inference timings in us|^Graph: \[|benchmark_model", re.MULTILINE)

# Names that others have for what ncnn's benchmark calls simply so.
_ALSO = {
    "mobilenetv1": "mobilenet",
    "shufflenetv1": "shufflenet",
    "mobilenetv3large": "mobilenetv3",
}


def parse(text: str) -> tuple[Figure, ...]:
    """Return the times of a text, of networks that the model has counts of.

    Raises:
        BadInputError: it has none, names a network that is not known, or is of several threads.
        RefusedError: it is of TFLite.
    """
    if _TFLITE.search(text):
        raise RefusedError(
            "these are times of TFLite, and those of ncnn alone correct the model, whose intervals "
            "are of ncnn; give lines such as 'MobileNetV1 31.5 ms' or what ncnn's benchncnn "
            "prints"
        )
    found: dict[str, Figure] = {}
    for line in text.splitlines():
        threads = _THREADS.match(line)
        if threads and threads[1] != "1":
            raise BadInputError(
                f"these are times of {threads[1]} threads, and those of one are modelled: run "
                "'benchncnn 8 1 2'"
            )
        from_ncnn = _NCNN.match(line)
        match = from_ncnn or _LINE.match(line)
        if match is None:
            continue
        network = _network(match[1])
        # ncnn's program also times what no counts are shipped of.
        if network is not None and float(match[2]) > 0:
            found[network] = Figure(network, float(match[2]))
        elif not from_ncnn:
            raise BadInputError(f"{line.strip()!r}: known are {', '.join(_known().values())}")
    if not found:
        raise BadInputError(
            "no time was found: give lines such as 'MobileNetV1 31.5 ms', or what ncnn's "
            "benchncnn prints"
        )
    return tuple(found.values())


def _network(name: str) -> str | None:
    plain = re.sub(r"[\W_]", "", name.lower())
    return _known().get(_ALSO.get(plain, plain))


def _known() -> dict[str, str]:
    return {re.sub(r"[\W_]", "", one.network): one.network for one in counts()}

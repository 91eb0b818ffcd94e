"""ONNX files that detectors are made of: opened, and asked what they take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import FloatArray, Picture

Outputs = list[npt.NDArray[np.float32]]

# One thread: pictures are found in parallel, which uses cores better.
_THREADS = 1
_FATAL_ONLY = 4


@dataclass(frozen=True)
class DetectorNetwork:
    """It is a network with one input, pictures with three channels.

    Attributes:
        path: the file.
        size: height and width that it takes; none for each that is free.
        channels_last: whether its input is `(N, H, W, 3)`; else `(N, 3, H, W)`.
        one_by_one: whether its batch is fixed at 1.
    """

    path: Path
    size: tuple[int | None, int | None]
    channels_last: bool
    one_by_one: bool
    _session: Any

    def __call__(self, pictures: FloatArray) -> Outputs:
        """Return all outputs for pictures `(N, H, W, 3)`, in the order of the file.

        Raises:
            BadInputError: the file cannot be run on them.
        """
        inputs = pictures if self.channels_last else pictures.transpose(0, 3, 1, 2)
        if not self.one_by_one or len(inputs) == 1:
            return self._run(inputs)
        each = [self._run(inputs[row : row + 1]) for row in range(len(inputs))]
        return [np.concatenate(parts) for parts in zip(*each, strict=True)]

    def _run(self, inputs: FloatArray) -> Outputs:
        name = self._session.get_inputs()[0].name
        try:
            outputs = self._session.run(None, {name: np.ascontiguousarray(inputs)})
        except Exception as error:  # ONNX Runtime raises a dozen kinds
            raise BadInputError(
                f"{self.path} cannot be run on an input of shape {inputs.shape}: export it for "
                "this size, or use another file"
            ) from error
        return [np.asarray(output) for output in outputs]


def normalized(pictures: Picture) -> FloatArray:
    """Return pictures `(N, H, W, 3)`, RGB, as detectors are trained on them: (x - 127.5) / 128."""
    return np.asarray((pictures.astype(np.float32) - 127.5) / 128, np.float32)


def load(path: Path) -> DetectorNetwork:
    """Open an ONNX file, and read the layout of its input from the graph.

    Raises:
        BadInputError: it is no ONNX file, or has no such input.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = _THREADS
    # What it has to say comes as an exception too.
    options.log_severity_level = _FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen kinds
        raise BadInputError(
            f"{path} is no ONNX file that ONNX Runtime {onnxruntime.__version__} can open: "
            "check that it is whole, or export it anew"
        ) from error
    return _described(path, session)


def _described(path: Path, session: Any) -> DetectorNetwork:
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
        shown = ", ".join(f"{node.name} {node.shape} {node.type}" for node in inputs)
        raise BadInputError(
            f"{path} takes {shown or 'nothing'}, not one batch of pictures in float32: use a "
            "file that does"
        )
    # Names stand for what is free.
    batch, *rest = (n if isinstance(n, int) and n > 0 else None for n in inputs[0].shape)
    if (rest[0] == 3) == (rest[2] == 3) or batch not in (None, 1):
        raise BadInputError(
            f"{path} takes an input of shape {inputs[0].shape}, neither (N, 3, H, W) nor "
            "(N, H, W, 3) with N free or 1: export it anew as one of these"
        )
    last = rest[2] == 3
    height, width = rest[:2] if last else rest[1:]
    return DetectorNetwork(path, (height, width), last, batch == 1, session)

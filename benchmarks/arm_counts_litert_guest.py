"""Runs TFLite files inside the emulator; `arm_counts_litert.py` starts it.

It takes LiteRT, or TensorFlow Lite's runtime of before, whichever is installed there.

    python arm_counts_litert_guest.py xnnpack|builtin NETWORK.tflite ...
"""

import ctypes
import gc
import os
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

try:
    from ai_edge_litert import interpreter as litert

    VERSION = f"litert {version('ai-edge-litert')}"
except ImportError:
    from tflite_runtime import interpreter as litert

    VERSION = f"tflite {version('tflite-runtime')}"

# The system call that the plugin sees, and what it is told.
_MARK, _RESET, _START, _STOP = 4077, 0, 1, 2


def main() -> None:
    kernels, *paths = sys.argv[1:]
    kinds = litert.OpResolverType
    chosen = kinds.AUTO if kernels == "xnnpack" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    # All are opened before anything is counted, which takes far longer than to run it.
    networks = [
        litert.Interpreter(path, num_threads=1, experimental_op_resolver_type=chosen)
        for path in paths
    ]
    for network in networks:
        network.allocate_tensors()
        (image,) = network.get_input_details()
        network.set_tensor(image["index"], np.full(image["shape"], 0.01, np.float32))
    mark = ctypes.CDLL(None).syscall
    gc.disable()
    mark(_MARK, _RESET)
    for network in networks:
        network.invoke()
        for inferences in (0, 1):
            mark(_MARK, _START)
            for _ in range(inferences):
                network.invoke()
            mark(_MARK, _STOP)
    print(VERSION)
    print(Path("/proc/self/maps").read_text(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()

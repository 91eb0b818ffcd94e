"""Runs one of ncnn's benchmark networks inside the emulator, as ncnn's own benchmark does: with
empty weights. It needs ncnn alone; `arm_counts.py` starts it.

    python arm_counts_guest.py NETWORK.param SIZE fp16|fp32
"""

import ctypes
import gc
import os
import sys
from pathlib import Path

import ncnn

# The system call that the plugin sees, and what it is told.
_MARK, _RESET, _START, _STOP = 4077, 0, 1, 2


def main() -> None:
    path, size, precision = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    net = _opened(path, half=precision == "fp16")
    lines = [line.split() for line in path.read_text().splitlines()[2:] if line.strip()]
    # A line is a layer's kind and name, how many blobs it takes and makes, and these.
    taken = [blob for words in lines for blob in words[4 : 4 + int(words[2])]]
    made = [
        blob
        for words in lines
        for blob in words[4 + int(words[2]) : 4 + int(words[2]) + int(words[3])]
    ]
    first = next(words[4] for words in lines if words[0] == "Input")
    outputs = [blob for blob in made if blob not in taken]
    image = ncnn.Mat(size, size, 3)
    image.fill(0.01)

    def infer() -> None:
        extractor = net.create_extractor()
        extractor.input(first, image)
        for blob in outputs:
            extractor.extract(blob)

    mark = ctypes.CDLL(None).syscall
    gc.disable()
    mark(_MARK, _RESET)
    infer()
    for inferences in (1, 2):
        mark(_MARK, _START)
        for _ in range(inferences):
            infer()
        mark(_MARK, _STOP)
    print(Path("/proc/self/maps").read_text(), flush=True)
    # ncnn's allocators are not to be taken down in any order.
    os._exit(0)


def _opened(path: Path, half: bool) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.lightmode = True
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
    if net.load_param(str(path)):
        sys.exit(f"ncnn does not read {path}")
    net.load_model(ncnn.DataReaderFromEmpty())
    return net


if __name__ == "__main__":
    main()

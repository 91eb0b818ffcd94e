"""Counts networks in LiteRT on an emulated core: rows of results/arm_model/litert_counts.csv.

    pip install pytorchcv
    facebench device setup-emulated
    python benchmarks/arm_counts_litert.py networks cortex-a76 mobilenet_w1 resnet10
    python benchmarks/arm_counts_litert.py networks cortex-a76 --kernels builtin

The networks are pytorchcv's, with random weights, and are kept as TFLite files in the first
folder. Each takes a minute or less. Another release is counted with `--packages`, a folder into
which pip installed it for aarch64 and Python 3.11, with the numpy that it was built with
(`tflite-runtime==2.14.0 numpy==1.26.4`).
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import warnings
from pathlib import Path

import arm_counts

from facebench.harness.devices.emulator import counters
from facebench.harness.devices.emulator.setup import find

_GUEST = Path(__file__).with_name("arm_counts_litert_guest.py")

# Of images, in pixels on a side.
_SIZE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of TFLite files, which it fills")
    parser.add_argument("core", help="that is emulated")
    parser.add_argument("networks", nargs="+", help="by pytorchcv's names")
    parser.add_argument("--kernels", choices=("xnnpack", "builtin"), default="xnnpack")
    parser.add_argument("--packages", type=Path, help="another release than the one set up")
    given = parser.parse_args()
    packages = [given.packages] if given.packages else find().packages("litert")
    paths = [given.folder / f"{network}.tflite" for network in given.networks]
    for path in paths:
        if not path.exists():
            path.write_bytes(converted(path.stem))
    guest = [_GUEST, given.kernels, *paths]
    printed, regions = arm_counts.emulated("litert", given.core, guest, packages)
    release, _, maps = printed.partition("\n")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, network in enumerate(given.networks):
        packed = counters.pack(maps, regions[2 * number : 2 * number + 2])
        figures = arm_counts.figures(packed, given.core, given.core)
        writer.writerow([release, given.kernels, given.core, network, *figures])
        sys.stdout.flush()


def converted(network: str) -> bytes:
    """Return one of pytorchcv's networks as a TFLite file."""
    import onnx
    import torch
    from pytorchcv.model_provider import get_model

    from facebench.harness.models.onnx_network.plain import plain
    from facebench.harness.runtimes.litert.convert import convert

    torch.manual_seed(0)
    made = get_model(network, pretrained=False).eval()
    image = torch.zeros(1, 3, _SIZE, _SIZE)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder, "network.onnx"))
        names = {"input_names": ["image"], "output_names": ["embedding"]}
        torch.onnx.export(made, (image,), path, dynamo=False, **names)
        return convert(plain(onnx.load(path), 1))


if __name__ == "__main__":
    main()

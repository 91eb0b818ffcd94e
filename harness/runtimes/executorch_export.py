"""Makes ExecuTorch's programs of an exported network: a process of its own, which ends with it.

Its exporter takes seconds and hundreds of megabytes, starts threads, and says on standard error
what is of no use to users: none of that is to be in a process that is timed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.architectures.errors import FacebenchError
from facebench.harness.models.export import Exported
from facebench.harness.models.onnx_network.unfused import first_line
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

# What a program's folder holds: the program, and the operators of it that XNNPACK does not take.
PROGRAM, OUTSIDE = "network.pte", "outside.json"

# Of a network in int8: the graph with its scales, for any batch.
QUANTIZED = "network.pt2"

# What the quantizer is given and gives: images (N, 3, H, W) and embeddings (N, E).
IMAGES, EMBEDDINGS = "images.npy", "embeddings.npy"

# The exit code after a sentence that says it all.
REFUSED = 2


def main() -> None:
    """Do what the arguments say: `FOLDER export BATCH MADE` or `FOLDER quantize EXCHANGE MADE`."""
    source, verb, what, made = sys.argv[1:]
    try:
        if verb == "export":
            export(Exported(Path(source)), int(what), Path(made))
        else:
            quantize(Exported(Path(source)), Path(what), Path(made))
    except FacebenchError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    except Exception as error:  # torch and ExecuTorch raise a dozen kinds
        sys.exit(f"{type(error).__name__}: {first_line(error)}")


def export(exported: Exported, batch: int, folder: Path) -> None:
    """Write a program for batches of so many images, and what of it XNNPACK does not take."""
    import executorch.exir  # noqa: F401  # the operators of a graph in int8
    import torch

    inputs, _ = exported.reference()
    images = torch.from_numpy(inputs[np.arange(batch) % len(inputs)])
    quantized = exported.folder / QUANTIZED
    module = torch.export.load(quantized).module() if quantized.exists() else _folded(exported)
    program = _program(torch.export.export(module, (images,)))
    (folder / PROGRAM).write_bytes(program.buffer)
    (folder / OUTSIDE).write_text(json.dumps(_outside(program)))
    _embedded(folder / PROGRAM, [images.numpy()])  # that it runs, before it is kept


def quantize(exported: Exported, exchange: Path, folder: Path) -> None:
    """Write the graph in int8, its ranges set by the images of a folder, and there its embeddings.

    Weights are in int8, symmetric for each output channel, activations in int8: what XNNPACK has
    kernels for. Operators that the quantizer does not know stay in single precision.
    """
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    images = torch.from_numpy(np.load(exchange / IMAGES))
    free = ({0: torch.export.Dim("batch")},)
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    with torch.no_grad():
        graph = torch.export.export(_folded(exported), (images[:2],), dynamic_shapes=free)
        observed = prepare_pt2e(graph.module(), quantizer)
        for image in images:
            observed(image[None])
        converted = convert_pt2e(observed)
        torch.export.save(
            torch.export.export(converted, (images[:2],), dynamic_shapes=free), folder / QUANTIZED
        )
        program = _program(torch.export.export(converted, (images[:1],)))
    (exchange / PROGRAM).write_bytes(program.buffer)
    np.save(exchange / EMBEDDINGS, _embedded(exchange / PROGRAM, images.numpy()[:, None]))


def _folded(exported: Exported) -> nn.Module:
    from facebench.harness.models.bn_folding import fold_batch_norm

    facts = exported.facts()
    return fold_batch_norm(
        exported.module(), None if facts["from_onnx"] else tuple(facts["input_size"])
    )


def _program(graph: ExportedProgram) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    return to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()]).to_executorch()


def _outside(program: Any) -> list[str]:
    """Return names of the operators that ExecuTorch's own portable kernels compute."""
    (plan,) = program.executorch_program.execution_plan
    return sorted({operator.name.rpartition("::")[2] for operator in plan.operators})


def _embedded(program: Path, batches: Iterable[FloatArray]) -> FloatArray:
    """Return what a program makes of batches (B, 3, H, W): embeddings (N, E)."""
    from facebench.harness.runtimes.registry import RUNTIMES

    infer = RUNTIMES["executorch"].open(program, 1)
    return np.concatenate([infer(batch) for batch in batches])


if __name__ == "__main__":
    main()

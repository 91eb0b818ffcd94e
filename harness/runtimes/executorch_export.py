"""Makes ExecuTorch's programs of an exported network: a process of its own, which ends with it.

Its exporter takes seconds and hundreds of megabytes, starts threads, and says on standard error
what is of no use to users: none of that is to be in a process that is timed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
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

# What a program's folder holds: the program, the operators of it that XNNPACK does not take, and
# how many of which kind compute in floating point.
PROGRAM, OUTSIDE, FLOATING = "network.pte", "outside.json", "floating.json"

# Of a network in int8: the graph with its scales, for any batch; beside the program for one image.
QUANTIZED = "network.pt2"

# What XNNPACK calls what only moves a tensor, or rounds it.
_MOVING = ("Convert", "Copy", "StaticReshape", "StaticSlice", "StaticTranspose")

# What the quantizer is given and gives: images (N, 3, H, W) and embeddings (N, E).
IMAGES, EMBEDDINGS = "images.npy", "embeddings.npy"

# Images that set ranges at once, where the graph takes any number.
_AT_ONCE = 16

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
    module = (
        torch.export.load(quantized).module() if quantized.exists() else _folded(exported, batch)
    )
    _write(torch.export.export(module, (images,)), folder)
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
    free: Any = ({0: torch.export.Dim("batch")},)
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    with torch.no_grad():
        try:
            graph = torch.export.export(_folded(exported), (images[:2],), dynamic_shapes=free)
        except Exception:  # its sizes may be those of one image
            free = None
            graph = torch.export.export(_folded(exported, 1), (images[:1],))
        observed = prepare_pt2e(graph.module(), quantizer)
        step = _AT_ONCE if free else 1
        for start in range(0, len(images), step):
            observed(images[start : start + step])
        converted = convert_pt2e(observed)
        some = images[: 2 if free else 1]
        torch.export.save(
            torch.export.export(converted, (some,), dynamic_shapes=free), folder / QUANTIZED
        )
        _write(torch.export.export(converted, (images[:1],)), folder)
    np.save(exchange / EMBEDDINGS, _embedded(folder / PROGRAM, images.numpy()[:, None]))


def _folded(exported: Exported, batch: int | None = None) -> nn.Module:
    """Return a network with batch normalization folded, a user's file for so many images."""
    import onnx

    from facebench.harness.models.bn_folding import fold_batch_norm
    from facebench.harness.models.onnx_network import in_torch

    facts = exported.facts()
    if not facts["from_onnx"]:
        return fold_batch_norm(exported.module(), tuple(facts["input_size"]))
    return fold_batch_norm(in_torch.module(onnx.load(exported.onnx), facts["name"], batch))


def _write(graph: ExportedProgram, folder: Path) -> None:
    """Write the program of a graph, and what of it XNNPACK does not take or not in integers."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    delegated = _delegated_graphs()
    edge = to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()])
    program = edge.to_executorch()
    outside = _outside(program)
    (folder / PROGRAM).write_bytes(program.buffer)
    (folder / OUTSIDE).write_text(json.dumps(sorted(outside)))
    (folder / FLOATING).write_text(json.dumps(outside + sum(map(_floating, delegated), Counter())))


def _delegated_graphs() -> list[Any]:
    """Return a list that has the graphs which XNNPACK is given from here on."""
    from executorch.backends.xnnpack import xnnpack_preprocess

    graphs: list[Any] = []
    write = xnnpack_preprocess.serialize_xnnpack_binary

    def keep(graph: Any, *others: Any) -> Any:
        graphs.append(graph)
        return write(graph, *others)

    xnnpack_preprocess.serialize_xnnpack_binary = keep
    return graphs


def _outside(program: Any) -> Counter[str]:
    """Count the operators, by name, that ExecuTorch's own portable kernels compute."""
    (plan,) = program.executorch_program.execution_plan
    calls = [step.instr_args for chain in plan.chains for step in chain.instructions]
    return Counter(
        plan.operators[call.op_index].name.rpartition("::")[2]
        for call in calls
        if hasattr(call, "op_index")
    )


def _floating(graph: Any) -> Counter[str]:
    """Count the operators, by name, that XNNPACK computes in floating point."""
    values = [value.xvalue_union for value in graph.xvalues]
    wide = {value.id_out for value in values if type(value).__name__ == "XNNTensorValue"}
    nodes = [node.xnode_union for node in graph.xnodes]
    return Counter(
        kind
        for node in nodes
        if (kind := type(node).__name__.removeprefix("XNN")) not in _MOVING
        and node.output_id in wide
    )


def _embedded(program: Path, batches: Iterable[FloatArray]) -> FloatArray:
    """Return what a program makes of batches (B, 3, H, W): embeddings (N, E)."""
    from facebench.harness.runtimes.registry import RUNTIMES

    infer = RUNTIMES["executorch"].open(program, 1)
    return np.concatenate([infer(batch) for batch in batches])


if __name__ == "__main__":
    main()

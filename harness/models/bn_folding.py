"""Folds batch normalization into the layer before it."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from facebench.harness.models.tracing import traced

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def inference_form(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose re-parameterised modules are what they deploy as.

    A module that has a method `deployed` is replaced by the module which that returns: one
    convolution, say, for branches that were trained beside each other (arXiv 2101.03697).
    """
    made = copy.deepcopy(network).eval()
    if callable(deployed := getattr(made, "deployed", None)):
        made = deployed().eval()
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if callable(deployed := getattr(child, "deployed", None)):
                setattr(parent, name, deployed().eval())
    return made


def fold_batch_norm(network: nn.Module, input_size: tuple[int, int] | None = None) -> nn.Module:
    """Return a copy, in eval mode, without the BN that follows convolutions and linear layers.

    It is of the network's `inference_form`, and computes the same up to rounding. BN stays
    where nothing can take it: after another kind of layer, or a layer that is called twice
    or read by others too. Classes derived from torch's layers may compute something else
    with their weights and keep theirs.

    Args:
        network: which is left as it is.
        input_size: height and width of its images, which make their shapes constants of the
            copy; None leaves them free.

    Raises:
        BadInputError: the network's flow depends on its data, so that it cannot be traced.
    """
    # torch.fx.experimental.optimization.fuse is nearly this, but gives wrong
    # outputs where one layer is called twice, and fails on BN without weights.
    folded = traced(inference_form(network), input_size)
    modules = dict(folded.named_modules(remove_duplicate=False))
    calls = Counter(id(modules[str(n.target)]) for n in folded.graph.nodes if _is_call(n))
    for node in folded.graph.nodes:
        before = node.args[0] if node.args else None
        if not (_is_call(node) and isinstance(before, fx.Node) and _is_call(before)):
            continue
        layer, norm = modules[str(before.target)], modules[str(node.target)]
        if _fits(layer, norm) and len(before.users) == 1 and calls[id(layer)] == 1:
            _absorb(layer, norm)
            node.replace_all_uses_with(before)
            folded.graph.erase_node(node)
    folded.delete_all_unused_submodules()
    folded.recompile()
    return folded


def _is_call(node: fx.Node) -> bool:
    return node.op == "call_module"


def _fits(layer: Any, norm: Any) -> bool:
    if type(layer) not in LAYERS or type(norm) not in NORMALIZATIONS:
        return False
    return norm.running_mean is not None and len(layer.weight) == norm.num_features


def _absorb(layer: Any, norm: Any) -> None:
    # Of a linear layer's weights too the first dimension is that of the outputs.
    layer.weight, layer.bias = fuse_conv_bn_weights(
        layer.weight,
        layer.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )

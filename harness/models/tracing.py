"""Traces a network to torch.fx's graph, with the shapes that an image of one size gives as facts.

torch.fx by itself knows no shapes, so that it can't follow a forward that works with them:
`math.ceil(height / 2)`, or a map that is padded to whole windows. Here every operator is also
run on zeros for two sizes of batch, but for convolutions and linear layers, whose shapes are
worked out. What the two have in common does not depend on the batch and is a constant of the
graph; the batch stays free. (torch's meta device computes shapes alone, by rules in Python that
load its compiler and a system of algebra: that takes longer than all of a trace.)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from facebench.architectures.errors import BadInputError
from facebench.harness.models.graph_rewrites import rewrite

_BATCHES = (2, 3)


@dataclass(frozen=True)
class _Like:
    """It stands for a tensor, of which only this is kept."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def traced(network: nn.Module, input_size: tuple[int, int] | None) -> fx.GraphModule:
    """Return the graph of a network in evaluation mode, its modules without children as they are.

    Args:
        network: which maps images `(N, 3, H, W)`.
        input_size: height and width; None leaves every shape free.

    Raises:
        BadInputError: its flow depends on its data.
    """
    if isinstance(network, fx.GraphModule):
        return network
    tracer = _Tracer() if input_size is None else _ShapeTracer(input_size)
    try:
        with torch.no_grad():
            graph = tracer.trace(network)
        if isinstance(tracer, _ShapeTracer):
            sizes = {
                node: (first.shape, second.shape)
                for node, (first, second) in tracer.values.items()
                if isinstance(first, _Like) and isinstance(second, _Like)
            }
            rewrite(graph, sizes)
        made = fx.GraphModule(tracer.root, graph)
    except Exception as error:  # a network's own code runs on proxies and fails in its own ways
        raise BadInputError(
            f"{type(network).__name__} cannot be traced, so its batch normalization cannot be "
            f"folded ({error}): make its forward free of branches on data"
        ) from error
    made.graph.eliminate_dead_code()
    made.recompile()
    return made


class _Tracer(fx.Tracer):
    """Takes modules without children as they are, whatever their forward does."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        no_children = next(m.children(), None) is None
        return no_children or super().is_leaf_module(m, module_qualified_name)


class _ShapeTracer(_Tracer):
    """Knows of every value in the graph what it is for each of two batches."""

    def __init__(self, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.values: dict[fx.Node, tuple[Any, Any]] = {}
        self._input_size = input_size
        self._running = False

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Shaped(node, self)

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        made = super().create_proxy(kind, target, *args, **kwargs)
        first, second = (self._value(made.node, batch) for batch in (0, 1))
        self.values[made.node] = (first, second)
        return made

    # While an operator runs, fx's patches of modules must let it through.

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        first, second = self.values[obj.node]
        lengths = {
            value.shape[0] if isinstance(value, _Like) else len(value)
            for value in (first, second)
            if isinstance(value, _Like | tuple | list)
        }
        if len(lengths) != 1:
            return super().iter(obj)
        return iter([self._entry(obj, number) for number in range(lengths.pop())])

    def _entry(self, obj: fx.Proxy, number: int) -> Any:
        return self.create_proxy("call_function", operator.getitem, (obj, number), {})

    def _value(self, node: fx.Node, batch: int) -> Any:
        """Run one operator, for the first batch or the second."""
        if node.op == "placeholder":
            return _Like((_BATCHES[batch], 3, *self._input_size), torch.float32)
        if node.op == "get_attr":
            return fx.node.map_aggregate(self._attribute(node), _like)
        self._running = True
        try:
            return fx.node.map_aggregate(self._run(node, batch), _like)
        finally:
            self._running = False

    def _run(self, node: fx.Node, batch: int) -> Any:
        known = (node.args, node.kwargs)
        made: Any = fx.node.map_arg(known, lambda read: self._made(read, batch))
        args, kwargs = made
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            if len(args) == 1 and (shape := _shape(module, args[0])) is not None:
                return args[0].new_zeros(shape)
            return module.forward(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)

    def _made(self, node: fx.Node, batch: int) -> Any:
        if node.op == "get_attr":
            return self._attribute(node)
        return fx.node.map_aggregate(
            self.values[node][batch],
            lambda value: (
                torch.zeros(value.shape, dtype=value.dtype) if isinstance(value, _Like) else value
            ),
        )

    def _attribute(self, node: fx.Node) -> Any:
        found: Any = self.root
        self._running = True
        try:
            for part in str(node.target).split("."):
                found = getattr(found, part)
        finally:
            self._running = False
        return found


def _shape(layer: nn.Module, given: Any) -> tuple[int, ...] | None:
    """Return the shape of what a convolution or a linear layer gives; None where it has to run."""
    if type(layer) is nn.Linear and given.shape[-1] == layer.in_features:
        return (*given.shape[:-1], layer.out_features)
    if type(layer) is not nn.Conv2d or isinstance(layer.padding, str) or given.ndim != 4:
        return None
    window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    batch, channels, *extents = given.shape
    places = [_places(*of_axis) for of_axis in zip(extents, *window, strict=True)]
    fits = channels == layer.in_channels and min(places) > 0
    return (batch, layer.out_channels, *places) if fits else None


def _places(extent: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return at how many places along an axis a window lies."""
    return (extent + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _like(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return _Like(tuple(value.shape), value.dtype)
    return value


class _Shaped(fx.Proxy):
    """It is a value in the graph whose shape can be read, the batch as a value itself."""

    @property
    def shape(self) -> Any:
        """Return the extents, each a number where it does not depend on the batch."""
        return self.size()

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self._kinds()[0].shape)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of its elements."""
        kind: torch.dtype = self._kinds()[0].dtype
        return kind

    @property
    def device(self) -> torch.device:
        """Return where networks are traced."""
        return torch.device("cpu")

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return one extent, or all of them."""
        first, second = self._kinds()
        if dim is None:
            return tuple(self.size(i) for i in range(len(first.shape)))
        if first.shape[dim] == second.shape[dim]:
            return first.shape[dim]
        return self.tracer.create_proxy("call_method", "size", (self, dim), {})

    def _kinds(self) -> tuple[_Like, _Like]:
        assert isinstance(self.tracer, _ShapeTracer)
        first, second = self.tracer.values[self.node]
        if not (isinstance(first, _Like) and isinstance(second, _Like)):
            raise AttributeError(f"{self.node.name} is no tensor")
        return first, second

"""Makes a network of a name and weights: registered, `timm:` or `onnx:`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Architecture, Preprocessing
from facebench.harness.models import known_networks, state_dicts, weights_card
from facebench.harness.storage import shipped
from facebench.harness.storage.cache import file_digest

if TYPE_CHECKING:
    from torch import nn

ONNX_PREFIX = "onnx:"
# Of an ONNX graph, weights and intermediate values of one image: 2 GB of single precision.
_MOST_ELEMENTS = 2**29

RANDOM, SHIPPED = "random:0", "shipped"


registry.foretell(known_networks.told)


@dataclass(frozen=True)
class Network:
    """A network is an architecture with the weights that fill it.

    Attributes:
        name: as the user gave it; of an `onnx:` network, the prefix and the file's name.
        weights: identity of the weights: `random:<seed>` or `sha256:<digest>`.
        path: the file that holds them, or None where they are random.
        preprocessing: given by the user, or None for the architecture's own.
        source: of an architecture from outside this project, what defines it: see there.
    """

    name: str
    weights: str = RANDOM
    path: Path | None = None
    preprocessing: Preprocessing | None = None
    source: str = ""

    @property
    def is_onnx(self) -> bool:
        """Say whether the network is a user's ONNX file."""
        return self.name.startswith(ONNX_PREFIX)

    @property
    def trained(self) -> bool:
        """Say whether its weights come from a file, so that scores on real faces mean something."""
        return self.path is not None

    def architecture(self) -> Architecture:
        """Return the facts of the network; of an ONNX file, those its graph states.

        Raises:
            UnknownNameError: no architecture has this name.
            BadInputError: the ONNX file holds no embedding network.
        """
        found = _onnx_architecture(self) if self.is_onnx else registry.find(self.name)
        if self.preprocessing is None:
            return found
        return replace(found, preprocessing=self.preprocessing)

    @property
    def module_name(self) -> str:
        """Return the full name of the Python module that defines it."""
        return __name__ if self.is_onnx else registry.module(self.name)

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of architecture and weights, for a record's provenance.

        Raises:
            BadInputError: the file does not hold weights for this architecture.
        """
        found = self.architecture()
        facts = {
            "paper_row": found.paper_row or "",
            "reference": found.reference,
            "note": found.note,
        }
        if self.path is None or self.is_onnx:
            return facts
        training = weights_card.conditions(self.path)
        matched = state_dicts.match(self.path, found.build().state_dict(), found.embedding_size)
        return (
            facts | {"weights_matched": matched.how} | ({"training": training} if training else {})
        )

    def graph(self) -> Any:
        """Return the graph of an ONNX file, an `onnx.ModelProto`.

        Raises:
            BadInputError: the file holds none that can be read.
        """
        assert self.path is not None
        return _read_onnx(self.path)

    def module(self) -> nn.Module:
        """Return the network with its weights, in evaluation mode.

        Raises:
            BadInputError: the file does not hold weights for this architecture.
        """
        if self.is_onnx:
            return self.architecture().build().eval()
        from facebench.architectures.initialise import create

        seed = 0 if self.path else int(self.weights.partition(":")[2])
        module = create(self.name, seed)
        if self.path is not None:
            found = state_dicts.match(
                self.path, module.state_dict(), self.architecture().embedding_size
            )
            module.load_state_dict(found.tensors, strict=False)
        return module


def resolve(
    name: str,
    weights: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
) -> Network:
    """Return the network called `name`, its name and files checked.

    Args:
        name: a registered name, `timm:<backbone>[:<head>]` or `onnx:<file>`.
        weights: `random:<seed>`, `shipped` (those that come with the project) or a file; None
            is `random:0`. An ONNX file is its own weights.
        preprocessing: how pixels become its input, where the architecture's own does not fit.

    Raises:
        UnknownNameError: no such network; the message names the nearest.
        BadInputError: a file is missing, or no weights of this network are shipped.
    """
    if name.startswith(ONNX_PREFIX):
        path = Path(name.removeprefix(ONNX_PREFIX)).absolute()
        identity = f"sha256:{file_digest(path)}"
        return Network(f"{ONNX_PREFIX}{path.name}", identity, path, preprocessing)
    found = registry.find(name)
    name = found.name
    text = str(weights) if weights is not None else RANDOM
    if text == SHIPPED:
        text = str(_shipped(name))
    if is_random(text):
        return Network(name, text, None, preprocessing, found.source)
    path = Path(text).absolute()
    return Network(name, f"sha256:{file_digest(path)}", path, preprocessing, found.source)


def is_random(text: str) -> bool:
    """Return whether a text asks for weights from a seed: `random:<seed>`."""
    return re.fullmatch(r"random:\d{1,9}", text) is not None


def shipped_or_random(otherwise: str, name: str) -> str:
    """Return weights of a network for which no file is named.

    Args:
        otherwise: `random:<seed>`, or `shipped`: then those that are, and else random ones.
        name: of the network.
    """
    return RANDOM if otherwise == SHIPPED and name not in shipped.weights() else otherwise


def _shipped(name: str) -> Path:
    known = shipped.weights()
    if name not in known:
        raise BadInputError(
            f"no weights of {name} are shipped: give a file, or take one of {', '.join(known)}"
        )
    return known[name]


def _onnx_architecture(network: Network) -> Architecture:
    path = network.path
    assert path is not None
    model = _read_onnx(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    shapes = [_shape(value) for value in (*inputs, *model.graph.output)]
    if len(inputs) != 1 or len(shapes) != 2 or len(shapes[0]) != 4 or len(shapes[1]) != 2:
        raise BadInputError(
            f"{path} is no embedding network: one input (N, 3, H, W) and one output "
            f"(N, E) are expected, it has {', '.join(map(str, shapes)) or 'none'}"
        )
    (_, channels, height, width), (_, embedding) = shapes
    if channels != 3 or min(height, width, embedding) < 1:
        raise BadInputError(
            f"{path} is no embedding network: its input {shapes[0]} must have 3 channels "
            f"and a fixed height and width, and its output {shapes[1]} a fixed size"
        )
    return Architecture(
        name=network.name,
        build=lambda: _onnx_module(path, network.name, (height, width)),
        input_size=(height, width),
        embedding_size=embedding,
        reference="an ONNX file of the user",
    )


def _read_onnx(path: Path) -> Any:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
        found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # protobuf and onnx raise a dozen kinds
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"{path} is no ONNX file that can be read ({first[0]}); export the network again"
        ) from error
    graph = found.graph
    elements = sum(math.prod(max(dim, 1) for dim in _shape(value))
                   for value in (*graph.input, *graph.value_info, *graph.output))  # fmt: skip
    elements += sum(math.prod(tensor.dims) for tensor in graph.initializer)
    if elements > _MOST_ELEMENTS:
        raise BadInputError(
            f"{path} works out {elements:,} numbers for an image, more than {_MOST_ELEMENTS:,}: "
            "give a smaller network"
        )
    return found


def _shape(value: Any) -> tuple[int, ...]:
    """Dimensions of an ONNX value; 0 where one is not fixed."""
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _onnx_module(path: Path, name: str, size: tuple[int, int]) -> nn.Module:
    import onnx2torch
    import torch

    model = _read_onnx(path)
    for number, node in enumerate(model.graph.node):
        # The modules' names, in which a slash would part scopes of a trace.
        node.name = f"{node.op_type}_{number}"
    try:
        module: nn.Module = onnx2torch.convert(model)
        # Attributes and indices that make no sense show when it runs.
        with torch.no_grad():
            module.eval()(torch.zeros(1, 3, *size))
        return module
    except NotImplementedError as error:
        raise BadInputError(
            f"{name} has an operator that cannot be converted ({error}); export it with "
            "standard operators of opset 13 to 17"
        ) from error
    except Exception as error:  # whatever the converter and torch raise of a wrong graph
        first = str(error).strip().splitlines() or [""]
        raise BadInputError(
            f"{name} does not run in torch ({type(error).__name__}: {first[0]}); export it with "
            "floating-point weights, and see that it runs in another runtime"
        ) from error

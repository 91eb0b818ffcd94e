"""Makes a network of a name and weights: registered, `timm:`, `onnx:` or `tflite:`.

One of a module that was passed from Python is made by `module_network.of_module`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.architectures.registry import Architecture, Preprocessing
from facebench.harness.models import kept_modules, known_networks, state_dicts, weights_card
from facebench.harness.storage import shipped
from facebench.harness.storage.cache import file_digest

if TYPE_CHECKING:
    from torch import nn

    from facebench.harness.models.onnx_network.loaded import Loaded

# Of a user's file whose graph is the network.
ONNX_PREFIX, TFLITE_PREFIX = "onnx:", "tflite:"
GRAPH_PREFIXES = (ONNX_PREFIX, TFLITE_PREFIX)
# Of a module of torch that a user passed from Python.
MODULE_PREFIX = "module:"
# Of a path, parts that tell two files of one name apart.
_MOST_FOLDERS = 50

RANDOM, SHIPPED = "random:0", "shipped"


registry.foretell(known_networks.told)


@dataclass(frozen=True)
class Network:
    """A network is an architecture with the weights that fill it.

    Attributes:
        name: as the user gave it; of a user's graph, the prefix and the file's name; of a user's
            module, the prefix, its class and a few digits of what it computes.
        weights: identity of the weights: `random:<seed>` or `sha256:<digest>`.
        path: the file that holds them, or None where they are random.
        preprocessing: given by the user, or None for the architecture's own.
        source: of an architecture from outside this project, what defines it: see there; of a
            user's module, under which it is kept.
        size: height and width of a user's graph's image, where the graph leaves them free; of
            a user's module, always.
        output: of a user's graph with several, the one that holds the embedding.
        precision: of its weights as they are given: `fp32`, or what a user's graph computes in.
    """

    name: str
    weights: str = RANDOM
    path: Path | None = None
    preprocessing: Preprocessing | None = None
    source: str = ""
    size: tuple[int, int] | None = None
    output: str = ""
    precision: str = "fp32"

    @property
    def is_graph(self) -> bool:
        """Say whether the network is the graph in a user's file, ONNX or TFLite."""
        return self.name.startswith(GRAPH_PREFIXES)

    @property
    def is_tflite(self) -> bool:
        """Say whether that file is a TFLite one."""
        return self.name.startswith(TFLITE_PREFIX)

    @property
    def is_module(self) -> bool:
        """Say whether the network is a module of torch that a user passed from Python."""
        return self.name.startswith(MODULE_PREFIX)

    @property
    def trained(self) -> bool:
        """Say whether its weights were not drawn, so that scores on real faces mean something."""
        return not is_random(self.weights)

    def architecture(self) -> Architecture:
        """Return the facts of the network; of a user's graph, those it states.

        Raises:
            UnknownNameError: no architecture has this name.
            BadInputError: the user's file holds no embedding network.
        """
        if self.is_graph:
            return _graph_architecture(self)
        if self.is_module:
            return _module_architecture(self)
        found = registry.find(self.name)
        if self.preprocessing is None:
            return found
        return replace(found, preprocessing=self.preprocessing)

    def loaded(self) -> Loaded:
        """Return what its file holds.

        Raises:
            BadInputError: it holds no embedding network.
        """
        from facebench.harness.models.onnx_network import loaded

        assert self.path is not None
        read = loaded.load_tflite if self.is_tflite else loaded.load
        return read(self.path, self.weights, self.size, self.output)

    @property
    def module_name(self) -> str:
        """Return the full name of the Python module that defines it."""
        if self.is_graph or self.is_module:
            return __name__
        return registry.module(self.name)

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
        if self.path is None or self.is_graph or self.is_module:
            return facts
        training = weights_card.conditions(self.path)
        matched = state_dicts.match(self.path, found.build().state_dict(), found.embedding_size)
        return (
            facts | {"weights_matched": matched.how} | ({"training": training} if training else {})
        )

    def module(self) -> nn.Module:
        """Return the network with its weights, in evaluation mode.

        Raises:
            BadInputError: the file does not hold weights for this architecture.
            RefusedError: it is a user's graph that cannot be converted to torch.
        """
        if self.is_graph:
            from facebench.harness.models.onnx_network import in_torch

            wrapped = self.loaded().wrapped(self.architecture().preprocessing.channels)
            return in_torch.module(wrapped, self.name)
        if self.is_module:
            return kept_modules.load(self.source)
        from facebench.architectures.initialise import create, untrained

        if self.path is None:
            return create(self.name, int(self.weights.partition(":")[2]))
        module = untrained(self.name)
        found = state_dicts.match(
            self.path, module.state_dict(), self.architecture().embedding_size
        )
        module.load_state_dict(found.tensors, strict=False)
        return module


# What is said to the path of another file in place of a network's name, by its suffix.
_WEIGHTS = "name the network, and give the file as --weights {}"
_OF_FILES = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".safetensors"), _WEIGHTS),
    ".pte": "a program of ExecuTorch holds no graph that its answers could be held against; give "
    "the ONNX file that was exported beside it",
}


def resolve(
    name: str,
    weights: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    output: str = "",
) -> Network:
    """Return the network called `name`, its name and files checked.

    Args:
        name: a registered name, `timm:<backbone>[:<head>]`, `onnx:<file>` or `tflite:<file>`; of
            a file that ends in `.onnx` or `.tflite` its path is enough.
        weights: `random:<seed>`, `shipped` (those that come with the project) or a file; None
            is `random:0`. A user's graph has its own.
        preprocessing: how pixels become its input, where the architecture's own does not fit.
        size: height and width of a user's graph's image, where the graph leaves them free.
        output: of a user's graph with several, the one that holds the embedding.

    Raises:
        UnknownNameError: no such network; the message names the nearest.
        BadInputError: a file is missing, or no weights of this network are shipped.
    """
    name = with_prefix(name)
    for prefix in GRAPH_PREFIXES:
        if name.startswith(prefix):
            path = Path(name.removeprefix(prefix)).absolute()
            return _graph(prefix, path, preprocessing, size, output)
    if name.startswith(MODULE_PREFIX):
        raise UnknownNameError(
            f"{name} is a module that was passed from Python: pass the module itself again"
        )
    _require_no_file(name)
    found = registry.find(name)
    name = found.name
    text = str(weights) if weights is not None else RANDOM
    if text == SHIPPED:
        text = str(_shipped(name))
    if is_random(text):
        return Network(name, text, None, preprocessing, found.source)
    path = Path(text).absolute()
    return Network(name, f"sha256:{file_digest(path)}", path, preprocessing, found.source)


def _require_no_file(name: str) -> None:
    """Say of a file how it is named, where a network is asked for."""
    suffix = Path(name).suffix.lower()
    if mend := _OF_FILES.get(suffix):
        raise BadInputError(f"{name} is no network's name: {mend.format(name)}")


def told_apart(networks: Sequence[Network]) -> list[Network]:
    """Return networks with the folders of their files in their names, where these have one name
    and other weights.
    """
    parts = 1
    found = list(networks)
    while parts < _MOST_FOLDERS and (twice := _of_one_name(found)):
        parts += 1
        found = [
            replace(one, name=_graph_name(one, parts)) if one.name in twice else one
            for one in found
        ]
    return found


def _of_one_name(networks: Sequence[Network]) -> set[str]:
    """Return names of users' graphs that several networks of other weights have."""
    weights: dict[str, set[str]] = {}
    for one in networks:
        if one.is_graph:
            weights.setdefault(one.name, set()).add(one.weights)
    return {name for name, several in weights.items() if len(several) > 1}


def _graph(
    prefix: str,
    path: Path,
    preprocessing: Preprocessing | None,
    size: tuple[int, int] | None,
    output: str,
) -> Network:
    if prefix == TFLITE_PREFIX:
        from facebench.harness.models.tflite_network import reading

        digest, precision = reading.identity(path, output)
    else:
        from facebench.harness.models.onnx_network import files

        digest, precision = files.identity(path)
    network = Network(
        prefix,
        f"sha256:{digest}",
        path,
        preprocessing,
        size=size,
        output=output,
        precision=precision,
    )
    return replace(network, name=_graph_name(network, 1))


def _graph_name(network: Network, parts: int) -> str:
    """Return the file's name, with so many of the last parts of its path, and what was chosen."""
    assert network.path is not None
    chosen = [network.output] if network.output else []
    chosen += ["{}x{}".format(*network.size)] if network.size else []
    file = "/".join(network.path.parts[-parts:])
    prefix = TFLITE_PREFIX if network.is_tflite else ONNX_PREFIX
    return "@".join([f"{prefix}{file}", *chosen])


def with_prefix(text: str) -> str:
    """Return the name of a bare file, such as `my.onnx`, with the prefix that makes it a network.

    Any other text is returned as it is.
    """
    if text.startswith(GRAPH_PREFIXES):
        return text
    suffix = Path(text).suffix.lower()
    return next((f"{one}{text}" for one in GRAPH_PREFIXES if suffix == f".{one[:-1]}"), text)


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


def image_size(text: str, where: str) -> tuple[int, int]:
    """Return height and width of a text `HEIGHTxWIDTH`, or of one number for both.

    Args:
        text: as a user wrote it.
        where: what the user wrote it at, for the sentence.

    Raises:
        BadInputError: it does not have this form.
    """
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text)
    if found is None:
        raise BadInputError(f"{where} {text!r} is not valid: give HEIGHTxWIDTH, such as 112x112")
    height, width = found.group(1), found.group(2) or found.group(1)
    return int(height), int(width)


def _shipped(name: str) -> Path:
    known = shipped.weights()
    if name not in known:
        raise BadInputError(
            f"no weights of {name} are shipped: give a file, or take one of {', '.join(known)}"
        )
    return known[name]


def _graph_architecture(network: Network) -> Architecture:
    loaded = network.loaded()
    found = loaded.found
    return Architecture(
        name=network.name,
        build=network.module,
        input_size=found.size,
        embedding_size=found.embedding_size,
        reference=f"{'a TFLite' if network.is_tflite else 'an ONNX'} file of the user",
        note=str(found),
        preprocessing=loaded.preprocessing(network.preprocessing),
    )


def _module_architecture(network: Network) -> Architecture:
    assert network.size is not None
    return Architecture(
        name=network.name,
        build=network.module,
        input_size=network.size,
        embedding_size=int(kept_modules.facts(network.source)["embedding_size"]),
        reference="a module of the user",
        preprocessing=network.preprocessing or Preprocessing(),
        source=network.source,
    )

"""Finds in the forms in which people save weights which tensor is which of a network.

A file is right or refused. Names decide where they agree, but for a prefix that all share;
else the order of the layers does, where each layer has the same entries of the same shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.architectures.errors import BadInputError

if TYPE_CHECKING:
    from torch import Tensor

# By name, floating point only, in the order of the file.
State = Mapping[str, "Tensor"]

# What the entries of a layer are called; other libraries' words for the same roles.
_ROLES = {
    "weight": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "running_mean": "running_mean",
    "moving_mean": "running_mean",
    "running_var": "running_var",
    "moving_var": "running_var",
    "moving_variance": "running_var",
}
# How weights are matched that hold a network's tensors by its own names, and nothing else.
BY_NAME = "by name"
# Where a checkpoint has an average of the weights beside these, these are meant.
_PREFERRED = "state_dict"
# Dicts inside dicts are looked into so deep.
_DEPTH = 3


@dataclass(frozen=True)
class MatchedWeights:
    """They are the tensors of a file that fill a network.

    Attributes:
        tensors: by the network's own names.
        how: by what they were matched, and what was left aside; a phrase for people.
    """

    tensors: dict[str, Tensor]
    how: str


def read(path: Path, most: int | None = None) -> dict[str, State]:
    """Return all state dicts in a file, by where they are in it; `""` is the file itself.

    Args:
        path: the file.
        most: numbers that a compressed file may hold, where that is known.

    Raises:
        BadInputError: it can't be read without running code of the file's, or holds none.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = _safetensors(path, most)
        else:
            import torch

            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader says, the file is the culprit
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"{path} holds no weights that can be read safely ({first[0]}); give a .safetensors "
            "file or a state dict saved by torch.save"
        ) from error
    found = dict(_states(content, "", _DEPTH))
    if not found:
        raise BadInputError(f"{path} holds no state dict; save the network's with torch.save")
    return found


def _safetensors(path: Path, most: int | None) -> dict[str, Tensor]:
    from facebench.harness.models.compressed import file

    if compressed := file.load(path, most):
        import torch

        return {name: torch.from_numpy(value) for name, value in compressed.items()}
    from safetensors.torch import load_file

    # In no order of the network's: by size of the numbers, then by name.
    return dict(sorted(load_file(path).items()))


def match(path: Path, own: State, embedding_size: int) -> MatchedWeights:
    """Find a network's tensors in a file.

    Args:
        path: the file.
        own: the network's state dict, in its order.
        embedding_size: a matrix with such a side, beside the network, is a classifier's.

    Raises:
        BadInputError: the file can't be read, fits this network in no way, or in several.
    """
    own = floating(own)
    states = read(path, sum(tensor.numel() for tensor in own.values()))
    fitting = {
        (place, prefix): found
        for place, state in states.items()
        for prefix, found in _matches(state, own, embedding_size)
    }
    chosen = _only(fitting, path)
    if chosen is None:
        raise BadInputError(f"{path} does not fit this network: {_misfit(states, own)}")
    place, _ = chosen
    found = fitting[chosen]
    if not place:
        return found
    return MatchedWeights(found.tensors, f"{found.how}; taken from {place!r} in the file")


def floating(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of floats, each of a shape `(...)`, by name: no counts of batches."""
    import torch

    return {
        name: value
        for name, value in state.items()
        if torch.is_tensor(value) and value.is_floating_point()
    }


def _states(value: Any, place: str, depth: int) -> Iterator[tuple[str, State]]:
    """Yield the dicts that hold tensors by name, in a dict of dicts."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return
    if tensors := floating(value):
        yield place, tensors
    if depth:
        for key, inner in value.items():
            yield from _states(inner, f"{place}.{key}" if place else key, depth - 1)


def _only(fitting: Mapping[tuple[str, str], MatchedWeights], path: Path) -> tuple[str, str] | None:
    """Return the one that fits; of several the one that is meant, or that all equal."""
    keys = list(fitting)
    preferred = [key for key in keys if key[0] == _PREFERRED]
    if len(preferred) == 1:
        return preferred[0]
    if any(not _equal(fitting[keys[0]], fitting[key]) for key in keys[1:]):
        names = ", ".join(f"{'.'.join(filter(None, key))!r}" for key in keys)
        raise BadInputError(
            f"{path} holds several weights of this network, which differ ({names}): save the one "
            "that is meant, alone, with torch.save"
        )
    return keys[0] if keys else None


def _equal(one: MatchedWeights, two: MatchedWeights) -> bool:
    return all(value.equal(two.tensors[name]) for name, value in one.tensors.items())


def _matches(state: State, own: State, embedding_size: int) -> Iterator[tuple[str, MatchedWeights]]:
    """Yield each way in which a state dict fills the network, with the prefix it is under."""
    found = False
    for prefix in _prefixes(state, own):
        tensors = {name: state[prefix + name] for name in own}
        others = {name: t for name, t in state.items() if name.removeprefix(prefix) not in own}
        within = [t for name, t in others.items() if name.startswith(prefix)]
        if _shapes(tensors) == _shapes(own) and _is_classifier(within, embedding_size):
            found = True
            how = f"{BY_NAME}, without the prefix {prefix!r}" if prefix else BY_NAME
            yield prefix, MatchedWeights(tensors, how + _left_out(list(others)))
    if found:
        return
    for prefix, part in _parts(state):
        ordered = _by_order(part, own)
        if ordered is not None:
            others = {name: t for name, t in state.items() if name not in part}
            how = f"by the order of the layers{_left_out(list(others))}"
            yield prefix, MatchedWeights(ordered, how)


def _left_out(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"; left out: {names[0]}{more}"


def _prefixes(state: State, own: State) -> list[str]:
    """Return what stands before all of the network's own names."""
    first = next(iter(own))
    before = [name.removesuffix(first) for name in state if name.endswith(first)]
    return [
        prefix
        for prefix in before
        if (not prefix or prefix.endswith(".")) and all(prefix + name in state for name in own)
    ]


def _is_classifier(tensors: list[Tensor], embedding_size: int) -> bool:
    """Return whether tensors beside the network's are nothing, or what maps embeddings to classes.

    Anything else is part of a network that only begins like this one.
    """
    matrices = [t for t in tensors if t.ndim == 2 and embedding_size in t.shape]
    sides = {side for t in matrices for side in t.shape}
    return all(
        any(t is matrix for matrix in matrices) or (t.ndim <= 1 and {*t.shape} <= sides)
        for t in tensors
    )


def _parts(state: State) -> Iterator[tuple[str, State]]:
    """Yield a state dict, and what is under each first word of its names, such as `backbone.`."""
    yield "", state
    words = dict.fromkeys(name.partition(".")[0] for name in state)
    if len(words) == 1 and all("." in name for name in state):
        # One word before all: what stands beside the network is told by the next.
        prefix = f"{next(iter(words))}."
        inner = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        for rest, part in list(_parts(inner))[1:]:
            yield prefix + rest, {prefix + name: tensor for name, tensor in part.items()}
        return
    for word in words:
        part = {name: t for name, t in state.items() if name.startswith(f"{word}.")}
        if part:
            yield f"{word}.", part


def _by_order(state: State, own: State) -> dict[str, Tensor] | None:
    """Return the tensors, layer by layer and by role within each; None where they do not fit."""
    names = _ordered(state) if len(state) == len(own) else None
    if names is None:
        return None
    if not any(map(_role, names)):
        matched = dict(zip(own, (state[name] for name in names), strict=True))
        return matched if _fits(matched, own) else None
    layers, expected = _by_layer(names), _by_layer(list(own))
    if [len(layer) for layer in layers] != [len(layer) for layer in expected]:
        return None
    matched = {}
    for layer, mine in zip(layers, expected, strict=True):
        pairs = _by_role(layer, mine)
        if pairs is None:
            return None
        matched |= {name: state[theirs] for name, theirs in pairs.items()}
    return matched if _fits(matched, own) else None


def _ordered(state: State) -> list[str] | None:
    """Return the names in the order of the layers; None where nothing tells it.

    Sorted names have lost the order, which numbers in them, or shapes, may give back.
    """
    named = any(map(_role, state))
    layer_of = _layer if named else str
    layers = list(dict.fromkeys(map(layer_of, state)))
    by_number = sorted(layers, key=_natural)
    if layers not in (sorted(layers), by_number):
        return list(state)
    if _interchangeable(state, by_number, layer_of):
        return None
    places = {layer: place for place, layer in enumerate(by_number)}
    return sorted(state, key=lambda name: places[layer_of(name)])


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts numbers in names as numbers."""
    parts = re.split(r"(\d+)", name.replace(".", "\0"))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _interchangeable(state: State, layers: list[str], layer_of: Callable[[str], str]) -> bool:
    """Return whether two parts of one block have the same shapes, and no numbers that order
    them.
    """
    kinds: dict[str, list[tuple[str, tuple[int, ...]]]] = {layer: [] for layer in layers}
    for name, tensor in state.items():
        kinds[layer_of(name)].append((_role(name), tuple(tensor.shape)))
    blocks: dict[str, dict[str, list[Any]]] = {}
    for layer in layers:
        words = layer.split(".")
        for depth, word in enumerate(words):
            parts = blocks.setdefault(".".join(words[:depth]), {})
            parts.setdefault(word, []).append(sorted(kinds[layer]))
    return any(
        one == two and _pattern(first) != _pattern(second)
        for parts in blocks.values()
        for (first, one), (second, two) in combinations(parts.items(), 2)
    )


def _pattern(word: str) -> str:
    return re.sub(r"\d+", "#", word)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _by_layer(names: list[str]) -> list[list[str]]:
    """Return the names of each layer; a layer's stand together."""
    return [list(layer) for _, layer in groupby(names, _layer)]


def _role(name: str) -> str:
    """Return what an entry is to its layer; empty where its name does not tell."""
    return _ROLES.get(name.rpartition(".")[2], "")


def _by_role(layer: list[str], own: list[str]) -> dict[str, str] | None:
    """Return the entries of a layer by the network's own names; None where a role is another."""
    known = {_role(name): name for name in layer if _role(name)}
    unnamed = [name for name in layer if not _role(name)]
    found = {}
    for name in own:
        if _role(name) and _role(name) in known:
            found[name] = known.pop(_role(name))
        elif unnamed:
            found[name] = unnamed.pop(0)
        else:
            return None
    return found


def _fits(matched: State, own: State) -> bool:
    """Return whether shapes agree, and what became a variance can be one."""
    return _shapes(matched) == _shapes(own) and all(
        bool((tensor >= 0).all())
        for name, tensor in matched.items()
        if _role(name) == "running_var"
    )


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _misfit(states: Mapping[str, State], own: State) -> str:
    """Why no state dict in a file fits, told of the one with most tensors."""
    mend = "give weights that were trained for the same architecture"
    state = max(states.values(), key=len)
    for prefix in _common_prefixes(state):
        theirs = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        if 2 * len(own.keys() & theirs.keys()) > len(own):
            return f"{_difference(theirs, own)}; {mend}"
    if len(state) == len(own) and _ordered(state) is None:
        return (
            "its names are others and sorted, so neither names nor order tell which tensor is "
            "which; save it with the network's own names, or by torch.save in the network's order"
        )
    return (
        f"it holds {len(state)} tensors where {len(own)} are expected, or their shapes or roles "
        f"differ; {mend}"
    )


def _common_prefixes(state: State) -> list[str]:
    """Return nothing, and the words that the first tensor's name begins with."""
    words = next(iter(state)).split(".")
    return ["".join(f"{word}." for word in words[:depth]) for depth in range(len(words))]


def _difference(theirs: State, own: State) -> str:
    """Return the first thing in which tensors of mostly the same names differ."""
    for name, tensor in own.items():
        if name not in theirs:
            return f"it lacks {name}"
        if theirs[name].shape != tensor.shape:
            shapes = (tuple(theirs[name].shape), tuple(tensor.shape))
            return f"its {name} is {shapes[0]} where {shapes[1]} is expected"
    other = next(name for name in theirs if name not in own)
    return f"it has {other} {tuple(theirs[other].shape)}, which this network has not"

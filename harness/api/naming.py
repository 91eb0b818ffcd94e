"""What may be given for a network, and the names that there are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.api.quiet import quietly
from facebench.harness.models.networks import (
    RANDOM,
    Network,
    resolve,
    shipped_or_random,
    told_apart,
    with_prefix,
)
from facebench.harness.models.precision import require_known
from facebench.harness.runs.jobs import Precision

if TYPE_CHECKING:
    from torch import nn

# A name, a file, a module of torch, or what `network` returned.
NetworkLike: TypeAlias = Union[str, Path, "nn.Module", Network]
Size: TypeAlias = int | tuple[int, int]
Channel: TypeAlias = float | tuple[float, float, float]

# One name, several with commas between them, or a sequence of names.
Names: TypeAlias = str | Sequence[str]

# The paper's, which a module is taken to have where no other is given: height and width.
DEFAULT_SIZE = (112, 112)


def networks() -> list[str]:
    """Return the names of the registered networks, the paper's first.

    Any backbone of timm is a network too (`timm:ghostnet_100:gap`), and so is a file of yours.

    Example:
        >>> import facebench
        >>> facebench.networks()[:2]
        ['mobilefacenet', 'mobilefacenet_112x96']
    """
    return registry.names()


def network(
    what: NetworkLike,
    *,
    size: Size | None = None,
    weights: str | Path | None = None,
    name: str = "",
    channels: str | None = None,
    mean: Channel | None = None,
    scale: Channel | None = None,
    output: str = "",
) -> Network:
    """Return a network with all that belongs to it, for the other functions to take.

    They take a name, a file or a module as well; this says more of it.

    Args:
        what: a name, an ONNX or TFLite file, a file of Python that registers one network, or a
            module of torch that maps images `(N, 3, H, W)` to embeddings `(N, E)`.
        size: of a module's images, height and width or one number for both, 112x112 by default;
            of a file whose graph leaves its size free.
        weights: of a registered network a file, `shipped` or `random:<seed>`; of a module
            `random:<seed>` draws trained-like ones in the place of its own.
        name: by which a module is shown; by default the name of its class.
        channels: `RGB` or `BGR`.
        mean: subtracted from pixels of 0 to 255, one number or one a channel.
        scale: divides (pixel - mean), likewise.
        output: of a file with several, the one that holds the embedding.

    Raises:
        UnknownNameError: there is no such network; the message names the nearest.
        BadInputError: a file or a module is not what it should be.

    Example:
        >>> import facebench
        >>> facebench.network("mobilefacenet", weights="random:1").weights
        'random:1'
    """
    pixels = _preprocessing(channels, mean, scale)
    if isinstance(what, Network):
        raise BadInputError(f"{what.name} is a network already: give what it was made of")
    if not isinstance(what, str | Path):
        return _of_module(what, size, "" if weights is None else str(weights), name, pixels)
    if name:
        raise BadInputError(f"{what} has a name already: a module alone is given one")
    text = with_prefix(str(what))
    if text.endswith(".py"):
        text = _only(Path(text))
    return resolve(text, weights, pixels, _pair(size), output)


def all_of(
    given: NetworkLike | Sequence[NetworkLike], size: Size | None, weights: str | Path | None
) -> list[Network]:
    """Return what was given as networks: one, or several.

    Args:
        given: each as in `network`; a file of Python may register several.
        size: as in `network`.
        weights: as in `network`, of those that are no `Network` yet; `shipped` is for all that
            have some.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: a file or a module is not what it should be, or there is none.
    """
    one = isinstance(given, str | Path | Network) or not isinstance(given, Sequence)
    items: list[NetworkLike] = [given] if one else list(given)  # type: ignore[arg-type, list-item]
    if not items:
        raise BadInputError("no network is given: see facebench.networks()")
    return told_apart([made for item in items for made in _expanded(item, size, weights)])


def _expanded(what: NetworkLike, size: Size | None, weights: str | Path | None) -> list[Network]:
    if isinstance(what, Network):
        return [what]
    if not isinstance(what, str | Path):
        return [network(what, size=size, weights=weights)]
    text = with_prefix(str(what))
    names = _registered(Path(text)) if text.endswith(".py") else [text]
    return [
        resolve(name, shipped_or_random(str(weights or RANDOM), name), size=_pair(size))
        for name in names
    ]


def _of_module(
    what: object, size: Size | None, weights: str, name: str, pixels: Preprocessing | None
) -> Network:
    torch = sys.modules.get("torch")  # who has a module has imported it
    if torch is None or not isinstance(what, torch.nn.Module):
        raise BadInputError(
            f"{type(what).__name__} is no network: give a name (facebench.networks() lists them), "
            "a file, or an instance of torch.nn.Module"
        )
    from facebench.harness.models.module_network import of_module

    with quietly():
        return of_module(what, _pair(size) or DEFAULT_SIZE, weights, name, pixels)


def _only(file: Path) -> str:
    names = _registered(file)
    if len(names) > 1:
        raise BadInputError(f"{file} registers {', '.join(names)}: give one of these names")
    return names[0]


def _registered(file: Path) -> list[str]:
    from facebench.harness.models.network_files import registered_in

    return registered_in(file)


def _pair(size: Size | None) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(one, int) and 1 <= one <= 9999 for one in pair):
        raise BadInputError(f"size={size!r} is not valid: give (height, width), such as (112, 112)")
    return pair


def _preprocessing(
    channels: str | None, mean: Channel | None, scale: Channel | None
) -> Preprocessing | None:
    if channels is None and mean is None and scale is None:
        return None
    default = Preprocessing()
    if channels not in (None, "RGB", "BGR"):
        raise BadInputError(f"channels={channels!r} is not valid: give RGB or BGR")
    divisor = _three("scale", scale, default.scale)
    if 0.0 in divisor:
        raise BadInputError("scale divides, so it cannot be 0")
    return Preprocessing(channels or default.channels, _three("mean", mean, default.mean), divisor)


def _three(
    what: str, given: Channel | None, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    if given is None:
        return default
    values = (given,) * 3 if isinstance(given, int | float) else tuple(map(float, given))
    if len(values) != 3:
        raise BadInputError(f"{what}={given!r} is not valid: give one number, or one a channel")
    return float(values[0]), float(values[1]), float(values[2])


def listed(names: Names) -> list[str]:
    """Return names one by one."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    return list(names)


def precisions_of(names: Names, calibration: str) -> list[Precision]:
    """Return precisions by name.

    Raises:
        UnknownNameError: one is unknown.
    """
    chosen = listed(names)
    for name in chosen:
        require_known(name)
    return [Precision(name, calibration) for name in chosen]

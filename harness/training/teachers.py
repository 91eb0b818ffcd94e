"""Names the trained networks that others learn from, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models.networks import GRAPH_PREFIXES, Network, resolve, with_prefix


@dataclass(frozen=True)
class TeacherRequest:
    """It says which network teaches.

    Attributes:
        name: `onnx:FILE` or `NETWORK=FILE`.
        preprocessing: how pixels become its input; by default its own.
        licence: of its weights, in words, for the cards of what learns from it.
    """

    name: str
    preprocessing: Preprocessing | None = None
    licence: str = ""


@dataclass(frozen=True)
class Teacher:
    """It is a network that teaches, looked up.

    Attributes:
        network: trained.
        licence: of its weights, in words; empty where nobody said.
    """

    network: Network
    licence: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """Return what its embeddings depend on beside the images, in JSON's types."""
        expects = asdict(self.network.architecture().preprocessing)
        return {
            "name": self.network.name,
            "weights": self.network.weights,
            "preprocessing": {k: v if k == "channels" else list(v) for k, v in expects.items()},
        }


def look_up(request: TeacherRequest) -> Teacher:
    """Return the teacher that a request names.

    Raises:
        UnknownNameError: there is no such network.
        BadInputError: the name is not of the form, or the file is not as it should be.
    """
    text = request.name if "=" in request.name else with_prefix(request.name)
    if text.startswith(GRAPH_PREFIXES):
        return Teacher(resolve(text, preprocessing=request.preprocessing), request.licence)
    name, equals, file = text.partition("=")
    if not equals or not file:
        raise BadInputError(f"--teacher {text!r} is not valid: write onnx:FILE or NETWORK=FILE")
    return Teacher(resolve(name, file, request.preprocessing), request.licence)


def identity(teachers: Sequence[Teacher]) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return what a run tells of its teachers: nothing, the one, or a list of several."""
    found = [teacher.identity for teacher in teachers]
    if len(found) < 2:
        return found[0] if found else None
    return found

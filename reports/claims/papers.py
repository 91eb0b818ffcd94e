"""Reads a paper's claims from its file, and judges them by records.

A paper is a TOML file, of which each `[[claim]]` is a row:

    title = "MobileFaceNets"
    source = "arXiv 1804.07573"

    [[claim]]
    name = "speed-up"
    short = "2x as fast as V2"
    text = "mobilefacenet is more than 2 times as fast as MobileNetV2."
    where = "abstract, Table 2"
    measure = "latency"
    networks = [["mobilenet_v2", "mobilefacenet"]]
    relation = "more than"
    figure = 2

`docs/extending/claim.md` says what keys each measure has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, FacebenchError, UnknownNameError
from facebench.harness.storage.serialization import convert_settings, read_toml
from facebench.reports.claims import JUDGEMENTS, UNDECIDED, Claim, ClaimFinding, Judged, Words
from facebench.reports.evidence import Evidence

# Whose claims are judged where none is named.
DEFAULT = "mobilefacenets"

_SHIPPED = Path(__file__).parent / "papers"
# Of networks that a file or a notebook brought: their records alone know them.
_FROM_ELSEWHERE = ("onnx:", "tflite:", "module:")


@dataclass(frozen=True)
class _PaperFile:
    """It is what a paper's file may say."""

    title: Words
    source: Words
    claim: Annotated[
        tuple[dict[str, Any], ...],
        Meta(min_length=1, max_length=500, description="1 to 500 tables, [[claim]]"),
    ]


@dataclass(frozen=True)
class Paper:
    """A paper is a publication with those of its claims that records can speak to.

    Attributes:
        name: by which it is asked for.
        title: of the publication, in short.
        source: where it is found.
        claims: in order.
    """

    name: str
    title: str
    source: str
    claims: Sequence[Claim]

    def __getitem__(self, name: str) -> Claim:
        """Return the claim of a name."""
        return {one.name: one for one in self.claims}[name]


def names() -> list[str]:
    """Return the papers that come with the project, the default first."""
    found = sorted(path.stem for path in _SHIPPED.glob("*.toml"))
    return sorted(found, key=lambda name: name != DEFAULT)


def load(name: str = DEFAULT) -> Paper:
    """Read a paper: one that comes with the project by its name, or a TOML file.

    Raises:
        UnknownNameError: there is neither; or a claim of the file is of a measure or a network
            that is unknown.
        BadInputError: the file is no TOML, or has a wrong key or value.
    """
    if name in names():
        return _shipped(name)
    path = Path(name)
    if not path.is_file():
        raise UnknownNameError(
            f"no paper {name!r}: give a TOML file or one of {', '.join(names())}"
        )
    paper = _read(path)
    for number, one in enumerate(paper.claims, start=1):
        _require_known(one, _row(path, number, one.name))
    return paper


def judged(evidence: Evidence, paper: Paper | None = None) -> list[Judged]:
    """Judge a paper's claims by what the records say, in order; without findings: what they need.

    Args:
        evidence: the records.
        paper: by default that of MobileFaceNets.
    """
    claims = (paper or load()).claims
    return [Judged(one, one.judge(evidence) or [_missing(one)]) for one in claims]


def _missing(one: Claim) -> ClaimFinding:
    return ClaimFinding(UNDECIDED, "", "", "", (), f"It needs {one.needs}.")


@cache
def _shipped(name: str) -> Paper:
    return _read(_SHIPPED / f"{name}.toml")


def _read(path: Path) -> Paper:
    said = _values(read_toml(path, "paper"), _PaperFile, str(path))
    rows = said.pop("claim")
    claims = [_claim(row, _row(path, n, row.get("name"))) for n, row in enumerate(rows, start=1)]
    known = [one.name for one in claims]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise BadInputError(f"{path}: two claims are named {twice[0]!r}: rename one")
    return Paper(path.stem, claims=claims, **said)


def _row(path: Path, number: int, name: object) -> str:
    return f"{path}, claim {number} ({name if isinstance(name, str) else 'without a name'!r:.60})"


def _claim(row: Mapping[str, Any], where: str) -> Claim:
    measure = row.get("measure")
    if not isinstance(measure, str):
        known = ", ".join(JUDGEMENTS.names())
        raise BadInputError(f"{where}: measure is to be a text, one of {known}")
    try:
        judgement = JUDGEMENTS[measure]
        made = judgement.row(**_values(row, judgement.row, where))
        _require_others(made)
    except UnknownNameError as error:
        raise UnknownNameError(f"{where}: {error}") from error
    except BadInputError as error:
        said = str(error)
        raise BadInputError(said if said.startswith(where) else f"{where}: {said}") from error
    networks = " and ".join(dict.fromkeys(made.named))
    needs = judgement.needs.format_map(vars(made) | {"networks": networks})
    return replace(made, needs=made.needs or needs)


def _values(data: Mapping[str, Any], kind: Any, where: str) -> dict[str, Any]:
    """Return what a table of a file says, by key, if it says all that it has to."""
    made = convert_settings(data, kind, where)
    wanted = [one.name for one in fields(kind) if one.default is MISSING]
    if absent := [name for name in wanted if name not in made]:
        raise BadInputError(f"{where}: {absent[0]} is missing")
    return made


def _require_others(one: Claim) -> None:
    """Refuse a claim that compares a network with itself."""
    networks: Any = getattr(one, "networks", ())
    for pair in networks if networks and isinstance(networks[0], tuple) else [networks]:
        if len(set(pair)) < len(pair):
            raise BadInputError(f"networks compares {pair[0]} with itself: name another network")


def _require_known(one: Claim, where: str) -> None:
    """Refuse a claim that can be judged, but of a network that nobody knows."""
    for name in () if one.absent else one.named:
        if not name.startswith(_FROM_ELSEWHERE):
            try:
                registry.find(name)
            except FacebenchError as error:
                raise type(error)(f"{where}: {error}") from error

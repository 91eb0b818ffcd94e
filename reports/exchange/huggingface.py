"""A model card of the Hugging Face Hub: figures as its `model-index`, the rest as it is.

Format: https://github.com/huggingface/hub-docs, `modelcard.md`. A metric has a value and free
`args`: these hold the interval, how the figure was obtained and with what. A figure that is
neither counted nor measured has that in the metric's own type, since leaderboards read no more.
`verified` is the Hub's to say, and is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Accuracy, Identification
from facebench.harness.records.record import Record
from facebench.harness.records.store import latest
from facebench.harness.storage import writing
from facebench.harness.storage.reading import regular
from facebench.reports.exchange.registry import Destination, ExchangeFormat, Written, register
from facebench.reports.exchange.rows import require_figures, rows, without_figures
from facebench.reports.markdown import escape

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

# Nobody writes more about a model.
_LARGEST = 2**22
_PLAIN = ("counted", "measured")
_TASK: dict[str, Any] = {"task_type": "image-feature-extraction", "task_name": "face verification"}
# Counts and times are of no data set, and the format asks for one.
_NO_DATASET = {"dataset_type": "none", "dataset_name": "none: of any image"}
_TOOL = "facebench"
# A count is the same on every machine.
_OF_A_MACHINE = ("device", "threads", "batch", "cpu", "affinity")


def _write(records: Sequence[Record], destination: Destination) -> Written:
    from huggingface_hub import ModelCard, RepoCard

    found = latest(records)
    name = _only_network(found)
    require_figures(found)
    results = [_result(row, one) for one in found for row in rows([one])]
    try:
        card = RepoCard(_text(destination, name))
        index = _with_others(name, results, card.data.get("model-index"))
        card.data["model-index"] = [index]
        text = str(card)
        ModelCard(text)  # what its reader refuses is not written
    except Exception as error:  # YAML raises a dozen kinds
        raise BadInputError(
            f"{destination.into} is no model card that can be read ({_first_line(error)}): mend it"
        ) from error
    writing.write(destination.path, text)
    return Written(len(results), "figures", without_figures(found))


def _only_network(records: Sequence[Record]) -> str:
    """Return the name of the network; a card is of one, with one set of weights.

    Raises:
        RefusedError: there are several.
    """
    networks = sorted({record.case.network for record in records})
    if len(networks) > 1:
        raise RefusedError(
            f"a model card is of one network, and the records are of {', '.join(networks[:5])}: "
            "choose with --network"
        )
    scored = [one for one in records if isinstance(one.result, Accuracy | Identification)]
    weights = sorted({one.case.weights for one in scored})
    if len(weights) > 1:
        raise RefusedError(
            f"a model card is of one set of weights, and {networks[0]} was scored with "
            f"{weights[0]} and {weights[1]}: give records of one"
        )
    return networks[0]


def _text(destination: Destination, network: str) -> str:
    """Return the card that figures are added to, or a new one.

    Raises:
        BadInputError: there is one already that would be lost, or it can't be read.
    """
    if destination.into is None:
        if destination.path.exists():
            raise BadInputError(
                f"{destination.path} is there already: --into {destination.path} keeps what it says"
            )
        return f"---\n\n---\n\n# {escape(network)}\n"
    return _read_text(destination.into)


def _read_text(path: Path) -> str:
    try:
        with regular(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadInputError(f"{path} is larger than {_LARGEST >> 20} MiB, as no model card is")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read {path}: {_first_line(error)}; check the path") from error


def _result(row: dict[str, Any], record: Record) -> EvalResult:
    """Return a figure as the format has it."""
    from huggingface_hub import EvalResult

    told = {key: value for key, value in row.items() if key != "network"}  # the card's own
    measure, figure, kind = told["measure"], told["figure"], told["kind"]
    if kind == "counted":
        told = {key: value for key, value in told.items() if key not in _OF_A_MACHINE}
    name = figure if figure == measure else f"{measure} {figure}"
    how = filter(None, (told.get("unit"), kind, record.case.runtime, record.case.precision))
    return EvalResult(
        **_TASK,
        **_dataset(record),
        metric_type=_identifier(name if kind in _PLAIN else f"{kind} {name}"),
        metric_name=f"{name} ({', '.join(how)})",
        metric_value=told.pop("value"),
        metric_args={"tool": f"{_TOOL} {version('facebench')}", **told},
    )


def _dataset(record: Record) -> dict[str, Any]:
    """Return the data set of a score, with what it can say and the hash of its pairs."""
    case, result = record.case, record.result
    if not case.dataset:
        return _NO_DATASET
    told = {
        "dataset_type": _identifier(case.dataset, "-"),
        "dataset_name": f"{case.dataset}: {record.label}" if record.label else case.dataset,
    }
    if isinstance(result, Accuracy) and result.scores is not None:
        told["dataset_revision"] = result.scores.digest
    return told


def _with_others(name: str, results: Sequence[EvalResult], index: Any) -> dict[str, Any]:
    """Return the index of a card with new figures in the place of the earlier ones of ours.

    Raises:
        ValueError: the card is of several models.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index

    (ours,) = eval_results_to_model_index(name, list(results))
    if not index:
        return ours
    if len(index) > 1:
        raise ValueError("its model-index is of several models")
    others = []
    for one in index[0]["results"]:
        metrics = [metric for metric in one["metrics"] if not _is_ours(metric)]
        if metrics:
            others.append({**one, "metrics": metrics})
    return {"name": index[0]["name"], "results": [*others, *ours["results"]]}


def _is_ours(metric: dict[str, Any]) -> bool:
    args = metric.get("args")
    return isinstance(args, dict) and str(args.get("tool")).startswith(f"{_TOOL} ")


def _identifier(text: str, gap: str = "_") -> str:
    """Return a text in the letters that the Hub takes for identifiers.

    Example:
        >>> _identifier("accuracy TAR at FAR 0.001"), _identifier("folder:my faces", "-")
        ('accuracy_tar_at_far_0.001', 'folder-my-faces')
    """
    return re.sub(r"[^\w.-]+", gap, text.lower(), flags=re.ASCII).strip(gap) or gap


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


register(
    ExchangeFormat(
        "huggingface",
        "a model card with the figures as its model-index",
        "huggingface_hub",
        _write,
        takes_into=True,
    )
)

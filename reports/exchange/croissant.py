"""Scores of pairs as `pairs.csv`, with a Croissant description beside it that loads them.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0. The table is
for whatever reads CSV; the description says what its columns are, and by which hash the file is
known. Whose images the pairs are of, and under which licence they may be handed on, records do
not know: who publishes the scores adds `license`, `creator` and `url`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.records.store import latest
from facebench.harness.storage import writing
from facebench.reports.exchange.registry import (
    Destination,
    ExchangeFormat,
    Written,
    plural,
    register,
)
from facebench.reports.tables import harmless

TABLE, DESCRIPTION = "pairs.csv", "croissant.json"

# Of each column its type in Croissant, and what it is.
_COLUMNS = {
    "network": ("sc:Text", "The network that scored the pair."),
    "weights": ("sc:Text", "Hash of its weights, or the seed that drew them."),
    "precision": ("sc:Text", "Precision that the network computed in: fp32, fp16 or int8."),
    "runtime": ("sc:Text", "What executed the network."),
    "dataset": ("sc:Text", "The images."),
    "label": ("sc:Text", "What the images can say; empty for real faces."),
    "kind": ("sc:Text", "How the score was obtained."),
    "pairs": ("sc:Text", "Hash of the list of pairs: equal where pairs are the same, in order."),
    "pair": ("sc:Integer", "Number of the pair in the list, from 0."),
    "fold": ("sc:Integer", "Part of the cross-validation."),
    "same": ("sc:Boolean", "Whether both images show one person."),
    "score": ("sc:Float", "Cosine of the two embeddings."),
    "first_person": ("sc:Integer", "Number of the person; -1 where it is not known."),
    "second_person": ("sc:Integer", "Likewise, of the second image."),
}
# The vocabulary that a description of version 1.0 begins with.
_TERMS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject",
    "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def _write(records: Sequence[Record], destination: Destination) -> Written:
    scored = list(_scored(latest(records)))
    if not scored:
        raise BadInputError(
            "the records hold no scores of pairs: 'facebench verify' on a data set of pairs makes "
            "some"
        )
    frame = pd.concat([_table(record, scores) for record, scores in scored], ignore_index=True)
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n")
    folder = writing.folder(destination.path, destination.path)
    content = text.getvalue().encode()
    writing.write(folder / TABLE, content)
    writing.write(folder / DESCRIPTION, json.dumps(_described(scored, content), indent=1) + "\n")
    others = len(records) - len(scored)
    told = f"{plural(others, 'record')} without scores of pairs, or older ones of a case"
    return Written(len(frame), "scores", (told,) if others else ())


def _scored(records: Sequence[Record]) -> Iterator[tuple[Record, PairScores]]:
    for record in records:
        if isinstance(record.result, Accuracy) and record.result.scores is not None:
            yield record, record.result.scores


def _table(record: Record, scores: PairScores) -> pd.DataFrame:
    """Return a row a pair; columns are those of `_COLUMNS`."""
    case = record.case
    unknown = np.full((len(scores), 2), -1, np.int64)
    people = scores.identities if scores.packed_identities else unknown
    columns: dict[str, Any] = {
        "network": case.network,
        "weights": case.weights,
        "precision": case.precision,
        "runtime": case.runtime,
        "dataset": case.dataset,
        "label": record.label,
        "kind": record.kind,
        "pairs": scores.digest,
        "pair": np.arange(len(scores)),
        "fold": scores.folds,
        "same": scores.same,
        "score": scores.scores,
        "first_person": people[:, 0],
        "second_person": people[:, 1],
    }
    # Names come from others, and spreadsheets run formulas.
    plain = {name: harmless(one) if isinstance(one, str) else one for name, one in columns.items()}
    return pd.DataFrame(plain, columns=list(_COLUMNS))


def _described(scored: Sequence[tuple[Record, PairScores]], content: bytes) -> dict[str, Any]:
    networks = ", ".join(sorted({record.case.network for record, _ in scored}))
    datasets = ", ".join(sorted({record.case.dataset for record, _ in scored}))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "face-verification-scores",
        "description": f"Scores of pairs of faces ({datasets}) by {networks}.",
        "datePublished": max(record.created for record, _ in scored),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pairs",
                "name": "pairs",
                "field": [_field(name, *of) for name, of in _COLUMNS.items()],
            }
        ],
    }


def _field(name: str, kind: str, about: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"pairs/{name}",
        "name": name,
        "description": about,
        "dataType": kind,
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }


register(
    ExchangeFormat(
        "croissant",
        "a folder with the scores of pairs as CSV, and what its columns are",
        "mlcroissant; of the CSV, pandas",
        _write,
    )
)

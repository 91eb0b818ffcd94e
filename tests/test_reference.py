"""The reference results are of the weights that are shipped, and say what is written of them."""

import re

from architectures import registry
from harness import shipped
from harness.cache import file_digest
from harness.result import Accuracy
from harness.store import RECORDS, Store
from harness.training import weights

FOLDER = shipped.folder("reference")


def test_every_score_is_of_shipped_weights() -> None:
    scored = {
        record.case.network: record.case.weights
        for record in Store(FOLDER / RECORDS).read()
        if isinstance(record.result, Accuracy)
    }
    files = {n: path for n, path in shipped.weights().items() if n in registry.names()}
    assert scored == {name: f"sha256:{file_digest(path)}" for name, path in files.items()}


def test_the_page_and_the_metadata_give_the_scores_of_the_records() -> None:
    page = (FOLDER / "README.md").read_text()
    for record in Store(FOLDER / RECORDS).read():
        if isinstance(result := record.result, Accuracy):
            name = re.escape(record.case.network)
            said = f"{result.accuracy:.2%} ± {result.standard_error:.2%}".replace("%", "")
            assert re.search(rf"^\| {name} \|.*\| {said} \|", page, re.MULTILINE)
            facts = weights.facts(shipped.weights()[record.case.network])
            assert facts["scores"]["lfw"]["accuracy"] == result.accuracy


def test_all_were_trained_alike() -> None:
    conditions = {
        record.provenance["training"]["conditions"] for record in Store(FOLDER / RECORDS).read()
    }
    assert len(conditions) == 1

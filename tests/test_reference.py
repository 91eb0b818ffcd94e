"""The reference results are of the weights that are shipped, and say what is written of them."""

import re
from statistics import fmean, stdev

from facebench.architectures import registry
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import shipped
from facebench.harness.storage.cache import file_digest
from facebench.harness.training import weights

FOLDER = shipped.folder("reference")
MORE = "more.jsonl"


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


def test_the_page_gives_the_scores_of_every_seed() -> None:
    page = (FOLDER / "README.md").read_text()
    of_seeds: dict[str, dict[int, float]] = {}
    for name in (RECORDS, MORE):
        for record in Store(FOLDER / name).read():
            if isinstance(result := record.result, Accuracy):
                seed = record.provenance["training"]["seed"]
                of_seeds.setdefault(record.case.network, {})[seed] = result.accuracy
    shown = 0
    for name, scores in of_seeds.items():
        said = " | ".join(f"{100 * scores[seed]:.2f}" for seed in sorted(scores))
        if len(scores) > 1:
            values = [100 * score for score in scores.values()]
            said += f" | {fmean(values):.2f} | {stdev(values):.2f} |"
            shown += 1
            assert f"| {name} | {said}" in page
    assert shown == 4


def test_all_were_trained_alike() -> None:
    conditions = {
        record.provenance["training"]["conditions"]
        for name in (RECORDS, MORE)
        for record in Store(FOLDER / name).read()
    }
    assert len(conditions) == 1

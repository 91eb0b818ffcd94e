"""Each format as the program opens it that it is written for."""

from __future__ import annotations

import importlib.util
import io
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

import facebench
from facebench.architectures.errors import UnknownNameError
from facebench.harness.models import onnx_facts
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record
from facebench.harness.records.store import Store, latest
from facebench.reports.exchange.registry import FORMATS, Destination, Written, convert
from facebench.reports.exchange.registry import read as read_all
from facebench.reports.tables import harmless
from facebench.reports.tidy import tidy_frame
from tests.reports.report_records import (
    HOSTILE,
    TRAINED,
    cost,
    emulated,
    full_run,
    latency,
    pair_scores,
    scored,
)

NETWORK = "mobilefacenet"
DOUBT = Check("machine is quiet", False, "others took 12 %")


def records() -> list[Record]:
    """Of one network, some of all kinds of figures; one time is doubted."""
    of_measure = defaultdict(list)
    for one in (scored(NETWORK, pair_scores(1, pairs=60)), *full_run()):
        case = one.case
        unscored = not isinstance(one.result, Accuracy) or case.weights == TRAINED
        if case.network == NETWORK and unscored and case.measure != "identification":
            of_measure[case.measure].append(one)
    of_measure["latency"][0] = replace(of_measure["latency"][0], checks=(DOUBT,))
    return [one for found in of_measure.values() for one in found[:3]]


def model(path: Path, network: str = NETWORK, weights: str = "random:0") -> Path:
    """An ONNX file that doubles its input and says which network it is."""
    node = onnx.helper.make_node("Add", ["image", "image"], ["embedding"])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3])
        for name in ("image", "embedding")
    ]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    made.ir_version = 8
    made.metadata_props.add(key="author", value="somebody")
    onnx_facts.put(made, {onnx_facts.NETWORK: network, onnx_facts.WEIGHTS: weights})
    onnx.save(made, path)
    return path


@dataclass(frozen=True)
class Found:
    """What a reader found in a file.

    Attributes:
        frame: its figures, with columns of `tidy_frame`.
        of: the records that they are to be of.
    """

    frame: pd.DataFrame
    of: list[Record]


def open_csv(path: Path, given: list[Record]) -> Found:
    return Found(pd.read_csv(path), given)


def open_parquet(path: Path, given: list[Record]) -> Found:
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install facebench[notebook]")
    import pyarrow.parquet

    table: Any = pyarrow.parquet.read_table(path)
    return Found(table.to_pandas(), given)


def open_card(path: Path, given: list[Record]) -> Found:
    from huggingface_hub import ModelCard

    card = ModelCard.load(path)
    assert card.data.model_name == NETWORK
    assert all(one.verified is None for one in card.data.eval_results)
    rows = [
        {"value": one.metric_value, "type": one.metric_type, **one.metric_args}
        for one in card.data.eval_results
    ]
    return Found(pd.DataFrame(rows), latest(given))


def open_onnx(path: Path, given: list[Record]) -> Found:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"image": np.ones((1, 3), np.float32)})
    assert answer.tolist() == [[2.0, 2.0, 2.0]]
    told = session.get_modelmeta().custom_metadata_map
    assert told == {one.key: one.value for one in onnx.load(path).metadata_props}
    assert told["author"] == "somebody"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    own = [one for one in given if one.case.weights == "random:0"]
    return Found(pd.read_json(io.StringIO(told["facebench.figures"])), own)


def open_records(path: Path, given: list[Record]) -> Found:
    return Found(tidy_frame(Store(path).read()), given)


def open_nn_meter(path: Path, given: list[Record]) -> Found:
    (models,) = nn_meter()(json.loads(path.read_text())).values()
    measured = [
        one for one in latest(given)
        if one.case.measure == "latency" and one.kind == "measured"
    ]  # fmt: skip
    assert [one["latency"].avg for one in models.values()] == pytest.approx(
        [np.mean(one.result.samples_ms) for one in measured if isinstance(one.result, Latency)]
    )
    assert [one["latency"].std for one in models.values()] == pytest.approx(
        [np.std(one.result.samples_ms) for one in measured if isinstance(one.result, Latency)]
    )
    rows = [row for one in models.values() for row in one["facebench"]]
    return Found(pd.DataFrame(rows), measured)


def nn_meter() -> Callable[[Any], Any]:
    """The function that nn-Meter reads its files with, without what else it imports."""
    package = importlib.util.find_spec("nn_meter")
    if package is None or package.origin is None:
        pytest.skip("no nn-Meter: pip install facebench[test]")
    file = Path(package.origin).parent / "builder" / "backend_meta" / "utils.py"
    spec = importlib.util.spec_from_file_location("nn_meter_files", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    read: Callable[[Any], Any] = module.read_profiled_results
    return read


def open_croissant(path: Path, given: list[Record]) -> Found:
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install facebench[test]")
    dataset = mlcroissant.Dataset(jsonld=path / "croissant.json")
    rows = [
        {name.removeprefix("pairs/"): value for name, value in row.items()}
        for row in dataset.records("pairs")
    ]
    table = pd.DataFrame(rows)
    for name in ("network", "weights", "precision", "runtime", "dataset", "kind", "pairs"):
        table[name] = table[name].str.decode("utf-8")
    scored_pairs = [
        (one, one.result.scores)
        for one in latest(given)
        if isinstance(one.result, Accuracy) and one.result.scores
    ]
    for found in (table, pd.read_csv(path / "pairs.csv")):
        begin = 0
        for record, pairs in scored_pairs:
            part = found[begin : begin + len(pairs)]
            begin += len(pairs)
            assert part.score.to_numpy(np.float32).tolist() == pairs.scores.tolist()
            assert part.same.tolist() == pairs.same.tolist()
            assert part.fold.tolist() == pairs.folds.tolist()
            people = part[["first_person", "second_person"]].to_numpy().tolist()
            assert people == pairs.identities.tolist()
            told = part[["pairs", "dataset", "network", "kind"]].drop_duplicates()
            case = record.case
            assert told.to_numpy().tolist() == [
                [pairs.digest, case.dataset, case.network, record.kind]
            ]
        assert begin == len(found) > 50
    return Found(pd.DataFrame(), [])


OPENED: dict[str, Callable[[Path, list[Record]], Found]] = {
    "croissant": open_croissant,
    "csv": open_csv,
    "huggingface": open_card,
    "nn-meter": open_nn_meter,
    "onnx": open_onnx,
    "parquet": open_parquet,
    "records": open_records,
}


def written(name: str, given: list[Record], folder: Path) -> tuple[Path, Written]:
    into = model(folder / "model.onnx") if name == "onnx" else None
    path = folder / f"out{FORMATS[name].suffix}"
    return path, convert(given, name, Destination(path, into))


def sorted_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """A format may put figures of one data set together, and leave empty columns out."""
    by = ["measure", "figure", "runtime", "dataset", "device"]
    texts = {name: frame.get(name, pd.Series("", frame.index)).fillna("") for name in by}
    return frame.assign(**texts).sort_values([*by, "value"], ignore_index=True)


def test_each_format_has_a_reader_here() -> None:
    assert sorted(FORMATS.names()) == sorted(OPENED)
    with pytest.raises(UnknownNameError, match="did you mean parquet"):
        convert(records(), "parket", Destination(Path("out")))


@pytest.mark.parametrize("name", FORMATS.names())
def test_its_reader_finds_what_the_records_say(name: str, tmp_path: Path) -> None:
    given = records()
    path, told = written(name, given, tmp_path)
    found = OPENED[name](path, given)
    if found.frame.empty:
        return
    expected = sorted_rows(tidy_frame(found.of))
    frame = sorted_rows(found.frame)
    assert len(frame) == len(expected) > 5
    for column in ("value", "lower", "upper"):
        np.testing.assert_allclose(
            frame[column].astype(float), expected[column], rtol=1e-12, equal_nan=True
        )
    for column in ("kind", "unit", "runtime", "precision", "version", "weights", "doubts"):
        assert frame[column].fillna("").tolist() == expected[column].tolist()
    assert "others took 12 %" in "".join(map(str, frame.doubts))
    if told.noun == "figures":
        assert told.count == len(expected)


@pytest.mark.parametrize("name", FORMATS.names())
def test_what_was_modelled_is_never_shown_as_measured(name: str, tmp_path: Path) -> None:
    given = [*records(), *emulated(NETWORK)]
    path, _ = written(name, given, tmp_path)
    frame = OPENED[name](path, given).frame
    if frame.empty:  # of croissant, which has kinds of its own
        return
    modelled = frame[~frame.kind.isin(["counted", "measured"])]
    if name == "nn-meter":  # which can't say how a time was obtained
        assert modelled.empty
    else:
        assert set(modelled.kind) == {"emulated", "modelled"}
    if name == "huggingface":
        plain = frame[frame.kind.isin(["counted", "measured"])]
        assert modelled.type.str.startswith(("emulated_", "modelled_")).all()
        assert not plain.type.str.startswith(("emulated_", "modelled_")).any()


@pytest.mark.parametrize("network", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", [name for name in FORMATS.names() if name != "onnx"])
def test_no_name_breaks_a_format(name: str, network: str, tmp_path: Path) -> None:
    """A name may hold markup, quotes and line breaks, and comes back as it is."""
    some = (cost(NETWORK), latency(NETWORK, "ncnn"), scored(NETWORK, pair_scores(1, pairs=60)))
    given = [replace(one, case=replace(one.case, network=network)) for one in some]
    path, _ = written(name, given, tmp_path)
    if name == "huggingface":
        from huggingface_hub import ModelCard

        assert ModelCard.load(path).data.model_name == network
    elif path.is_file():
        expected = harmless(network) if name == "csv" else network
        assert set(OPENED[name](path, given).frame.network) == {expected}
    else:
        table = pd.read_csv(path / "pairs.csv")
        assert set(table.network) == {harmless(network)}


def test_a_model_carries_its_records(tmp_path: Path) -> None:
    given = records()
    path, told = written("onnx", given, tmp_path)
    own = [one for one in given if one.case.weights == "random:0" and one.result is not None]
    assert read_all([path]) == own
    assert facebench.read(path) == facebench.Records(own)
    assert "of other networks or weights" in " ".join(told.left_out)
    # Again, into the file itself: in the place of what it carried.
    convert(own[:2], "onnx", Destination(path, path))
    assert read_all([path]) == own[:2]
    assert len(onnx.load(path).metadata_props) == 5


def test_records_are_converted_in_a_notebook_with_a_warning(tmp_path: Path) -> None:
    given = facebench.Records(full_run()).filter(measure=["cost", "layers"])
    with pytest.warns(UserWarning, match="left out: .* of layers"):
        path = given.convert("csv", tmp_path / "deep" / "figures.csv")
    assert len(pd.read_csv(path)) == len(given.frame())

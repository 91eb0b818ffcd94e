"""Records as a notebook has them: what a data frame, a figure, a table and a page hold."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import facebench
from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.cli.output.console import flat
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.reports.render import render_one
from tests.reports.report_records import full_run, hostile_run


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> facebench.Records:
    path = tmp_path_factory.mktemp("run") / "records.jsonl"
    for record in full_run():
        Store(path).append(record)
    return facebench.read(path.parent)


def test_a_row_says_what_the_record_says(records: facebench.Records) -> None:
    timed = records.filter(measure="latency", status="ok")
    frame = timed.frame().query("figure == 'median'")
    assert len(frame) == len(timed) > 10
    for row, record in zip(frame.itertuples(), timed, strict=True):
        told = flat(record)
        assert row.value == told["median_ms"]
        assert (row.lower, row.upper) == told["interval_ms"]
        assert (row.unit, row.kind) == ("ms", told["kind"])
        for name in ("network", "runtime", "device", "threads", "precision", "weights"):
            assert getattr(row, name) == told[name]


def test_a_frame_is_tidy(records: facebench.Records) -> None:
    frame = records.frame()
    assert frame.value.notna().all()
    bounded = frame[frame.lower.notna()]
    assert ((bounded.lower <= bounded.value) & (bounded.value <= bounded.upper)).all()
    assert frame.lower.isna().equals(frame.upper.isna())
    assert {"counted", "measured", "emulated", "modelled"} <= set(frame.kind)
    measures = {one.case.measure for one in records if one.result is not None}
    # Of layers and receptive fields no one figure is compared.
    assert measures - set(frame.measure) <= {"layers", "fields"}
    assert frame.dtypes[["value", "lower", "upper"]].eq("float64").all()
    assert facebench.Records().frame().columns.equals(frame.columns)


def test_filters_are_those_of_pandas(records: facebench.Records) -> None:
    frame = records.frame()
    mine = records.filter(runtime=["ncnn", "tvm"], kind="measured", threads=1).frame()
    theirs = frame[frame.runtime.isin(["ncnn", "tvm"]) & (frame.kind == "measured")]
    theirs = theirs[theirs.threads == 1].reset_index(drop=True)
    assert mine.equals(theirs)
    assert records.filter(lambda one: one.status != "ok") == records.failures
    with pytest.raises(UnknownNameError, match="no field 'runtimes'"):
        records.filter(runtimes="ncnn")


def test_joined_records_are_each_there_once(records: facebench.Records) -> None:
    half = records[: len(records) // 2]
    assert half.join(records) == records
    assert (half + records[len(half) :]) == records
    assert isinstance(records[0], Record)


def test_a_figure_can_be_restyled(records: facebench.Records) -> None:
    figure = records.figure("pareto", "column")
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == pytest.approx(3.4)
    figure.axes[0].set_title("mine")
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    assert b"<svg" in file.getvalue()
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(UnknownNameError, match="did you mean pareto"):
        records.figure("paretto")
    with pytest.raises(UnknownNameError, match="unknown size"):
        records.figure("pareto", "wide")
    with pytest.raises(BadInputError, match="nothing for figure:pareto"):
        facebench.Records().figure("pareto")


def test_a_table_is_the_command_s(records: facebench.Records, tmp_path: Path) -> None:
    table = records.table("comparison")
    path = render_one(list(records), "table:comparison", "pdf", "column", tmp_path)
    assert table.latex() == path.read_text()
    assert "mobilefacenet" in set(table.frame()["network"])
    assert "<table" in table._repr_html_()
    with pytest.raises(UnknownNameError, match="comparison, latency"):
        records.table("compare")
    with pytest.raises(UnknownNameError, match="unknown table 'cost'"):
        records.table("cost").latex()


def test_claims_are_those_of_the_records(records: facebench.Records) -> None:
    found = facebench.claims(records)
    assert found[found[0].claim.name] is found[0]
    assert set(found.frame().claim) == {one.claim.name for one in found}
    assert repr(found).count("\n") == len(found) - 1
    assert "<table" in found._repr_html_()


def test_what_a_notebook_shows_obeys_no_text() -> None:
    records = facebench.Records(hostile_run())
    for html in (records._repr_html_(), records.table("latency")._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
    assert repr(records).startswith(f"{len(records)} records\n")


def test_a_report_is_written(records: facebench.Records, tmp_path: Path) -> None:
    page = records.filter(measure=["cost", "latency"], network="mobilefacenet").report(tmp_path)
    assert page == tmp_path / "report.html"
    assert "mobilefacenet" in page.read_text()


def test_pandas_reads_the_same_from_parquet(records: facebench.Records, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install facebench[notebook]")
    path = records.to_parquet(tmp_path / "deep" / "records.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), records.frame())

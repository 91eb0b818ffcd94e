"""Files are written where they are meant to be, whole, and through no link."""

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.baselines import Baselines, file_name
from facebench.harness.comparison.entry import Entry
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage import cache, writing
from facebench.harness.training.log import Log
from facebench.harness.verification.lists import write_pairs
from tests.faults.pretence import in_fork

CASE = Case("cost", "mobilefacenet")
SECRET = "not ours\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A file of the user's, to which planted links lead."""
    path = tmp_path / "home" / ".profile"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder that somebody else packed."""
    path = tmp_path / "given"
    path.mkdir()
    return path


def record() -> Record:
    return Record(CASE, kind="counted", status="failed")


def entry() -> Entry:
    return Entry(CASE, "counted", figures=(Counted("parameters", "", 1_003_136),))


def test_a_damaged_line_goes_through_no_link(given: Path, elsewhere: Path) -> None:
    store = Store(given / RECORDS)
    store.append(record())
    store.path.write_bytes(store.path.read_bytes() + b"touch /tmp/run-at-login\n")
    store.path.with_suffix(".damaged").symlink_to(elsewhere)
    with pytest.raises(BadInputError, match="records.damaged is a link"):
        store.mend()
    assert elsewhere.read_text() == SECRET


def test_the_file_of_the_lines_that_are_kept_is_of_no_name_to_guess(
    given: Path, elsewhere: Path
) -> None:
    store = Store(given / RECORDS)
    store.append(record())
    store.path.write_bytes(store.path.read_bytes() + b"half a li")
    store.path.with_suffix(".mending").symlink_to(elsewhere)
    assert store.mend() == given / "records.damaged"
    assert elsewhere.read_text() == SECRET
    assert len(store.read()) == 1


@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_no_record_is_appended_through_a_link(given: Path, elsewhere: Path, target: str) -> None:
    aim = elsewhere if target == "a file" else elsewhere.with_name("new")
    (given / RECORDS).symlink_to(aim)
    with pytest.raises(BadInputError, match="is a link, and nothing is written there"):
        Store(given / RECORDS).append(record())
    assert elsewhere.read_text() == SECRET
    assert os.listdir(elsewhere.parent) == [elsewhere.name]


def test_a_baseline_is_written_through_no_link(given: Path, elsewhere: Path) -> None:
    kept = Baselines(given)
    (path,) = kept.save("main", [entry()])
    path.with_suffix(".writing").symlink_to(elsewhere)
    changed = replace(entry(), figures=(Counted("parameters", "", 7),))
    kept.save("main", [changed])
    assert elsewhere.read_text() == SECRET
    assert kept.load("main")[0].figures == changed.figures


def test_a_baseline_whose_folder_is_a_link_is_refused(given: Path, elsewhere: Path) -> None:
    (given / "main").symlink_to(elsewhere.parent)
    with pytest.raises(BadInputError, match="main is a link"):
        Baselines(given).save("main", [entry()])
    assert os.listdir(elsewhere.parent) == [elsewhere.name]
    assert not (elsewhere.parent / file_name(CASE)).exists()


def test_the_cache_is_entered_through_no_link(
    given: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(given))
    (given / "export").symlink_to(elsewhere.parent)
    with pytest.raises(BadInputError, match="export is a link"):
        cache.entry("export", "key", lambda folder: (folder / "made").touch())
    assert os.listdir(elsewhere.parent) == [elsewhere.name]


def test_a_chosen_folder_may_be_a_link(given: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.symlink_to(given)
    assert Baselines(chosen).save("main", [entry()])[0].is_file()
    Store(chosen / RECORDS).append(record())
    assert (given / RECORDS).is_file()


WRITERS: dict[str, Callable[[Path], object]] = {
    "write": lambda path: writing.write(path, "text"),
    "shared": writing.shared,
    "log": Log,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "fifo"])
def test_only_a_regular_file_is_written_to(
    name: str, kind: str, given: Path, elsewhere: Path
) -> None:
    path = given / "file.csv"
    match kind:
        case "link":
            path.symlink_to(elsewhere)
        case "dangling link":
            path.symlink_to(elsewhere.with_name("new"))
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    with pytest.raises((BadInputError, OSError)):
        WRITERS[name](path)
    assert elsewhere.read_text() == SECRET
    assert os.listdir(elsewhere.parent) == [elsewhere.name]
    assert os.listdir(given) == [path.name]


def test_a_list_is_written_through_no_link(given: Path, elsewhere: Path) -> None:
    (given / "pairs.csv").symlink_to(elsewhere.with_name("new"))
    with pytest.raises(BadInputError, match="there already"):
        write_pairs(given / "pairs.csv", [])
    assert os.listdir(elsewhere.parent) == [elsewhere.name]


def test_a_full_disk_leaves_what_was_there(given: Path) -> None:
    path, source = given / "network.onnx", given / "made"
    path.write_text("before")
    source.write_bytes(bytes(10_000))

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        for fill in (lambda: writing.write(path, bytes(10_000)), lambda: copied(source, path)):
            with pytest.raises(OSError, match="too large"):
                fill()
        with pytest.raises(OSError, match="too large"):
            writing.create(given / "new", "x" * 10_000)

    assert in_fork(run) == 0
    assert path.read_text() == "before"
    assert sorted(os.listdir(given)) == ["made", "network.onnx"]


def copied(source: Path, target: Path) -> None:
    writing.replace(target, lambda made: shutil.copyfile(source, made))

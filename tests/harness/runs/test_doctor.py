"""The doctor says what is there, what is missing for what, and what mends it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures.errors import UnknownNameError
from facebench.harness.cli.commands import doctor as command
from facebench.harness.runs.doctor import checks, machine, software, storage
from facebench.harness.runs.doctor.checks import CHECKS, DoctorCheck, examine
from facebench.harness.runs.doctor.observation import MISSING, OK, WARNING, Observation, Place
from facebench.harness.runtimes.registry import RUNTIMES, Runtime
from tests.harness.command_line import facebench

QUICK = tuple(check for check in CHECKS if check.look is not software.runtimes)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(None, tmp_path / "results")


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.look.__name__)
def test_every_check_finds_something_and_what_is_wrong_has_a_mend(
    check: DoctorCheck, tmp_path: Path
) -> None:
    found = list(check.look(Place(None, tmp_path, ("local",))))
    assert found
    for one in found:
        assert one.state in (OK, MISSING, WARNING)
        assert one.says
        assert bool(one.mend) == (one.state != OK)


def test_a_package_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setattr(software, "version", {}.get)
    (found,) = software.packages(place)
    assert found.state == MISSING
    assert "numpy is not installed" in found.says
    assert "openvino" not in found.says, "an extra is nobody's duty"
    assert found.mend.startswith("pip install")


def test_a_package_in_a_version_that_is_not_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    real = software.version
    monkeypatch.setattr(software, "version", lambda n: "1.26.4" if n == "numpy" else real(n))
    (found,) = software.packages(place)
    assert (found.state, found.says.partition(",")[0]) == (MISSING, "numpy is 1.26.4")


def test_a_runtime_that_cannot_be_imported_is_no_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ncnn.py").write_text("raise ImportError('libgomp.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = software._runtime(RUNTIMES["ncnn"])
    assert found.state == MISSING
    assert found.says.endswith("libgomp.so.1: no such file")
    monkeypatch.delenv("PYTHONPATH")
    assert software._runtime(RUNTIMES["ncnn"]).state == OK


def test_a_runtime_that_is_not_installed_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Runtime("absent", ("no-such-package",), lambda *_: None, lambda *_: None)  # type: ignore[arg-type, return-value]
    found = software._runtime(absent)
    assert found == Observation("absent", MISSING, "not installed", "pip install .")


def test_programs_are_looked_for_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Place
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for look in (software.git, software.ssh, software.browser, software.latex, software.emulator):
        (found,) = look(place)
        assert found.state == MISSING
        assert found.mend.startswith("sudo apt-get install")


@pytest.mark.parametrize("below", ["a file", "/proc/no such folder"])
def test_a_folder_that_cannot_be_written_is_missing(
    below: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Place
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / below / "cache"))
    (found,) = storage.cache_folder(place)
    assert found.state == MISSING
    assert "FACEBENCH_CACHE" in found.mend


def test_a_folder_that_is_not_there_yet_is_not_made(place: Place) -> None:
    (found,) = storage.results_folder(place)
    assert found.state in (OK, WARNING)
    assert not place.results.exists()


def test_values_of_variables_stay_secret(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setenv("FACEBENCH_STORE", "s3://key:secret@bucket")
    (found,) = storage.variables(place)
    assert "FACEBENCH_STORE" in found.says
    assert "secret" not in found.says


def test_datasets_are_found_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "lfw").mkdir()
    found = {one.name: one for one in storage.datasets(Place(tmp_path, tmp_path))}
    assert found["lfw"].state == OK
    assert found["synthetic"].state == OK
    assert found["megaface"].state == MISSING
    assert "megaface" in found["megaface"].mend


def test_a_device_is_asked_only_by_its_name(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    def refuse(*where: Any) -> None:
        raise AssertionError(f"connected to {where}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = examine(place, QUICK)
    assert not [one for one in found if one.check.group == "devices"]
    assert not [one for one in found if "AssertionError" in one.seen.says]


def test_devices_say_what_they_are_or_why_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))  # in which nothing is set up
    here, emulated = machine.devices(Place(None, tmp_path, ("local", "emulated:cortex-a53")))
    assert (here.name, here.state) == ("local", OK)
    assert "onnxruntime" in here.says
    assert emulated.state == MISSING
    assert "facebench device setup-emulated" in emulated.says
    with pytest.raises(UnknownNameError, match="nonsense"):
        list(machine.devices(Place(None, tmp_path, ("nonsense",))))


def broken(place: Place) -> Iterator[Observation]:
    raise RuntimeError("half an installation")


def test_a_check_that_fails_says_so_and_the_others_go_on(place: Place) -> None:
    rows = (DoctorCheck("a", "x", broken), DoctorCheck("b", "y", software.python))
    first, second = examine(place, rows)
    assert first.seen.state == WARNING
    assert "half an installation" in first.seen.says
    assert second.seen.state == OK


@pytest.mark.parametrize("required", [True, False])
def test_the_exit_code_is_one_where_what_is_required_is_missing(
    required: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(place: Place) -> Iterator[Observation]:
        yield Observation("engine", MISSING, "not installed", "pip install engine")

    rows = (DoctorCheck("installed", "everything", lacking, required),)
    monkeypatch.setattr(command, "examine", partial(examine, checks=rows))
    assert facebench("doctor", "--json") == int(required)
    (told,) = json.loads(capsys.readouterr().out)
    assert told == {
        "group": "installed",
        "name": "engine",
        "state": "missing",
        "says": "not installed",
        "mend": "pip install engine",
        "serves": "everything",
        "required": required,
    }
    assert facebench("doctor") == int(required)
    shown = capsys.readouterr().out
    assert "for everything: pip install engine" in shown
    assert ("facebench cannot run without: engine" in shown) == required


@pytest.mark.slow  # it imports every runtime
def test_the_whole_table_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert facebench("doctor", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in told} >= set(RUNTIMES.names())
    assert {one["group"] for one in told} == {one.group for one in checks.CHECKS} - {"devices"}

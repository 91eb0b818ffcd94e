import importlib.metadata
import json
import os
from pathlib import Path

import pytest

from facebench.harness.machine import environment


def test_the_environment_is_flat_json_and_names_the_machine() -> None:
    captured = environment.capture()
    assert json.loads(json.dumps(captured)) == captured
    assert all(isinstance(value, str | int | float) for value in captured.values())
    assert captured["cpu_model"]
    assert captured["threads_visible"] == len(os.sched_getaffinity(0))
    assert captured["torch"] == importlib.metadata.version("torch")


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert environment.version("no-such-package-at-all") is None


def test_the_machine_key_does_not_move_with_the_load() -> None:
    assert environment.machine_key() == environment.machine_key()


@pytest.mark.parametrize(
    ("file", "text", "turbo"),
    [
        ("intel_pstate/no_turbo", "0", "on"),
        ("intel_pstate/no_turbo", "1", "off"),
        ("cpufreq/boost", "1", "on"),
        ("cpufreq/boost", "0", "off"),
        ("cpufreq/boost", "x", "not readable"),
    ],
)
def test_whether_clocks_may_rise_is_read_in_either_way(
    file: str, text: str, turbo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(f"{text}\n")
    (tmp_path / "smt").mkdir()
    (tmp_path / "smt/control").write_text("off\n")
    monkeypatch.setattr(environment, "_CPUS", tmp_path)
    captured = environment.capture()
    assert (captured["turbo"], captured["smt"]) == (turbo, "off")
    assert captured["governor"] == "not readable"


def test_the_cpus_that_may_be_used_are_listed_as_the_kernel_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 8})
    assert environment.capture()["affinity"] == "0-2,8"


def test_kinds_of_cores_are_told_where_the_kernel_tells_their_capacity(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number, capacity in enumerate((446, 446, 1024, 1024)):
        (tmp_path / f"cpu{number}").mkdir()
        (tmp_path / f"cpu{number}" / "cpu_capacity").write_text(f"{capacity}\n")
    monkeypatch.setattr(environment, "_CPUS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 3})
    assert environment.capture()["core_kinds"] == "1 x 446, 2 x 1024"
    monkeypatch.setattr(environment, "_CPUS", tmp_path / "nowhere")
    assert "core_kinds" not in environment.capture()

import importlib.metadata
import json
import os

from harness.timing import environment


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

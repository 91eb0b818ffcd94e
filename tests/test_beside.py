"""Commands that `tox` runs side by side."""

import pytest

from tests import beside


def test_one_that_fails_is_the_exit_code_and_all_are_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert beside.main(["sh -c 'echo one; exit 3'", "echo two"]) == 3
    assert capfd.readouterr().out == "sh -c 'echo one; exit 3'\none\necho two\ntwo\n"


def test_one_that_may_fail_fails_nothing() -> None:
    assert beside.main(["- sh -c 'exit 3'", "true"]) == 0


def test_they_run_at_the_same_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    pipe = tmp_path_factory.mktemp("beside") / "pipe"
    # A pipe is opened when both its ends are.
    assert beside.main([f"mkfifo {pipe}"]) == 0
    assert beside.main([f"sh -c 'read line < {pipe}'", f"sh -c 'echo line > {pipe}'"]) == 0

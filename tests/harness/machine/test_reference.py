"""The reference kernel tells a slow moment from a slow network."""

from pathlib import Path

import pytest

from facebench.harness.machine import reference


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    return tmp_path


def test_the_fastest_time_is_kept_between_processes(own_cache: Path) -> None:
    assert reference.fastest_us(20.0, 30.0) == 20.0
    assert reference.fastest_us(25.0) == 20.0
    assert reference.fastest_us(10.0) == 10.0
    assert [path.suffix for path in own_cache.iterdir()] == [".json"]


@pytest.mark.parametrize("content", ["", "{}", "null", '"x"'])
def test_a_damaged_file_is_forgotten(content: str, own_cache: Path) -> None:
    reference.fastest_us(10.0)
    (path,) = own_cache.iterdir()
    path.write_text(content)
    assert reference.fastest_us(15.0) == 15.0


def test_the_kernel_takes_time() -> None:
    assert reference.time_us() > 0

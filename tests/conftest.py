"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installed import Installed, borrowing, build_wheel, install


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this run's own: what one test exports the next one finds."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real faces; tests that need it are skipped where there is none."""
    chosen = os.environ.get("FACEBENCH_DATA")
    root = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip(
            f"no real faces: {root} is not a folder; set FACEBENCH_DATA to one that holds them"
        )
    return root


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment in which the wheel is installed, and no checkout."""
    return install(wheel, borrowing(tmp_path_factory.mktemp("installed") / "venv"))

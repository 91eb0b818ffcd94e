"""What all tests share."""

import datetime
import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from facebench.harness.models import known_networks
from tests.installed import Installed, borrowing, build_wheel, install
from tests.shared import made_once

# Tests run side by side, one on a core: threads of their own that wait for work by turning
# in circles (OpenMP's do) take the cores from one another. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What else the machine does is no fault of a test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# Smaller limits for processes that tests start.
_LIMITS = str(Path(__file__).parent / "limits")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_LIMITS, os.environ.get("PYTHONPATH")]))

# Files that take long, boards' silences and clusters' starts among them: begun first, so that
# no process is left with one of them at the end.
_LONG = (
    "board/test_boards.py",
    "board/test_serving.py",
    "test_regressions.py",
    "faults/test_runtimes.py",
    "cluster/test_cluster.py",
    "test_tune_command.py",
    "test_extending.py",
    "test_two_processes.py",
    "test_browser.py",
    "runtimes/test_flushing_runtimes.py",
    "runtimes/test_runtimes.py",
    "architectures/test_networks.py",
    "models/test_cost.py",
    "cli/test_cli.py",
    "cli/test_verify_command.py",
    "runs/test_runner.py",
    "compiler/test_compiler.py",
    "emulator/test_emulated_device.py",
    "models/test_export.py",
)

# What tests that draw by chance begin with; processes of pytest-xdist are given it.
SEED = os.environ.setdefault("FACEBENCH_TEST_SEED", datetime.date.today().isoformat())


def pytest_report_header() -> str:
    """How to draw the same again."""
    return f"seed of what is drawn by chance: FACEBENCH_TEST_SEED={SEED}"


def pytest_collection() -> None:
    """Hundreds of modules are imported: none of what they hold is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let nobody look for garbage among what was imported again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files; with pytest-xdist that takes `--no-loadscope-reorder`."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance that is another every day; a failure shows the seed that repeats it."""
    print(f"FACEBENCH_TEST_SEED={SEED} draws the same again")
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A cache of this run's own: what one test exports the next one finds, in any process."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # a process of pytest-xdist has a folder below
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(folder / "cache"))
        # Here, where torch is, and not in the first processes, which would import it for that.
        known_networks.told()
        yield folder / "cache"


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
def wheel(cache_folder: Path) -> Path:
    """The wheel of this checkout, built once: two who build it at once meet in its `build/`."""
    (built,) = made_once(cache_folder.parent / "wheel", build_wheel).glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment in which the wheel is installed, and no checkout."""
    return install(wheel, borrowing(tmp_path_factory.mktemp("installed") / "venv"))

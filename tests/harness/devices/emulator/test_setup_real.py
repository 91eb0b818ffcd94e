"""The whole set-up, from Debian's and Python's registries."""

import re
import shutil
from pathlib import Path

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import qemu, setup, wheels
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.machine import environment
from facebench.harness.machine.cores import CORES
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage.progress import SILENT
from tests.progress import Told

_UNREACHABLE = re.compile(r"Failed to fetch|resolve|connect|timed out", re.IGNORECASE)

_SEEN = """
import sys
sys.path.insert(0, {site!r})
import platform, numpy, ncnn, onnxruntime
print(platform.machine(), numpy.__version__, ncnn.__version__, onnxruntime.__version__)
print(open("/proc/cpuinfo").read().count("asimddp"))
print(open("/sys/devices/system/cpu/cpu0/cache/index2/size").read())
"""


@pytest.mark.slow
def test_what_is_set_up_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if qemu.problem() or shutil.which("apt-get") is None:
        pytest.skip(qemu.problem() or "apt-get is not installed")
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    try:
        emulated = setup.run(None, SILENT)
    except UnavailableError as error:
        if not _UNREACHABLE.search(str(error)):
            raise
        pytest.skip(f"a registry cannot be reached: {error}")
    assert setup.ready() == ""

    folder = overlay(emulated.root("aarch64"), CORES["cortex-a76"])
    said = qemu.run_python(folder, _SEEN.format(site=str(emulated.site)), "").split()
    versions = emulated.versions
    same = [environment.version(name) for name in ("numpy", "ncnn", "onnxruntime")]
    assert said == ["aarch64", *same, "4", "512K"]
    assert [versions[name] for name in ("numpy", "ncnn", "onnxruntime")] == same
    here = [name for name in wheels.EXTRAS if RUNTIMES[name].installed()]
    assert emulated.extras() == here

    told = Told()
    setup.run(None, told)
    assert told.said == [f"all is there: {emulated.folder}"]

"""pip itself, asked for aarch64 wheels of an index in a folder."""

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import wheels

AARCH64 = "cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64"


def make_wheel(folder: Path, name: str, version: str, tag: str) -> None:
    """A wheel with one module that says its tag."""
    files = {
        f"{name}.py": f"TAG = {tag!r}\n",
        f"{name}-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: unheard-of\n"
        ),
        f"{name}-{version}.dist-info/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ),
    }
    record = f"{name}-{version}.dist-info/RECORD"
    lines = [f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items()]
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(record, "".join([*lines, f"{record},,\n"]))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_wheels_of_aarch64_are_taken_and_nothing_they_ask_for(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "numeric", "2.4", AARCH64)
    make_wheel(index, "numeric", "2.4", "cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(index, "numeric", "2.5", AARCH64)
    make_wheel(index, "stable", "1.0", "cp36-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64")
    make_wheel(index, "pure", "3.0", "py3-none-any")
    make_wheel(index, "recent", "4.0", "cp311-cp311-manylinux_2_31_aarch64")
    packages = {"numeric": "2.4", "stable": "1.0", "pure": "3.0", "recent": "4.0"}
    assert wheels.install(packages, tmp_path / "site") == packages
    assert (tmp_path / "site" / "numeric.py").read_text() == f"TAG = {AARCH64!r}\n"
    assert {path.name for path in (tmp_path / "site").glob("*.dist-info")} == {
        "numeric-2.4.dist-info",
        "stable-1.0.dist-info",
        "pure-3.0.dist-info",
        "recent-4.0.dist-info",
    }


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp311-cp311-manylinux_2_39_aarch64",
    ],
)
def test_a_wheel_that_would_not_run_there_is_not_taken(
    index: Path, tmp_path: Path, tag: str
) -> None:
    make_wheel(index, "numeric", "2.4", tag)
    with pytest.raises(UnavailableError, match="numeric==2.4.*run the same command again"):
        wheels.install({"numeric": "2.4"}, tmp_path / "site")


def test_the_versions_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.environment, "version", lambda name: f"{len(name)}.0")
    assert wheels.wanted() == {
        "numpy": "5.0",
        "ncnn": "4.0",
        "onnxruntime": "11.0",
        "psutil": "6.0",
        "platformdirs": "12.0",
    }


def test_a_package_that_is_not_installed_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.environment, "version", lambda name: None)
    with pytest.raises(UnavailableError, match="'pip install numpy'"):
        wheels.wanted()

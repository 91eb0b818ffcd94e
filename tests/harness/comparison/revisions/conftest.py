"""A small repository of a user's, and a cache of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PLAN = """
networks = ["onnx:face.onnx"]
runtimes = ["onnxruntime"]
targets = []
datasets = []
sampling_s = 0.05
"""


class Repo:
    """Commits of files given as text or bytes."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(self.top), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, **files: str | bytes) -> None:
        """Files by name; `__` in a name is a slash, `_` a dot."""
        for name, content in files.items():
            path = self.top / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, tag: str = "", **files: str | bytes) -> str:
        self.write(**files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """Where the test stands."""
    (tmp_path / "repo").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    return Repo(tmp_path / "repo")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"

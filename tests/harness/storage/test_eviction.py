"""The cache is kept to its size, least recently used first, and nothing that is in use goes."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.architectures.errors import BadInputError
from facebench.harness.cli.main import cli
from facebench.harness.storage import cache, eviction, locks


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(locks, "_held", {})
    return tmp_path


def make(key: str, kind: str = "export", size: int = 1000, age_s: float = 0.0) -> Path:
    folder = cache.entry(kind, key, lambda made: write(made / "file", size))
    then = time.time() - age_s
    os.utime(folder, (then, then))
    return folder


def write(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)


@contextmanager
def another_process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run the code, and then lives until it is told to end."""
    known = "from facebench.harness.storage import cache, locks"
    wait = "print('ready', flush=True); input()"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{known}\n{code}\n{wait}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_least_recently_used_goes_first() -> None:
    oldest, middle, newest = (
        make(key, age_s=age) for key, age in (("a", 30), ("b", 20), ("c", 10))
    )
    size = eviction.items()[0].size
    removed = eviction.prune(2 * size)
    assert [item.folder for item in removed] == [oldest]
    assert middle.exists()
    assert newest.exists()


def test_using_an_entry_makes_it_the_newest() -> None:
    first, second = make("a", age_s=30), make("b", age_s=20)
    assert cache.find("export", "a") == first
    assert [item.folder for item in eviction.items()] == [second, first]


def test_what_a_living_process_has_used_stays_and_goes_when_it_is_dead() -> None:
    used, unused = make("a", age_s=30), make("b", age_s=20)
    with another_process("assert cache.find('export', 'a')"):
        eviction.prune(0)
        assert used.exists()
        assert not unused.exists()
    eviction.prune(0)
    assert not used.exists()
    assert not list((cache.root() / "users").glob(f"*{os.sep}*"))


def test_what_a_living_process_has_made_stays() -> None:
    code = "made = cache.entry('export', 'a', lambda f: (f / 'file').write_text('x'))"
    with another_process(code):
        eviction.prune(0)
        assert cache.find("export", "a")


def test_what_it_used_stays_though_the_clock_was_set_back() -> None:
    used = make("a", age_s=30)
    back = "import time; real = time.time; time.time = lambda: real() - 7200"
    with another_process(f"locks.begin(cache.root()); {back}; assert cache.find('export', 'a')"):
        eviction.prune(0)
        assert used.exists()


def test_what_killed_processes_left_half_made_goes_and_what_is_being_made_stays() -> None:
    code = (
        "import threading\n"
        "begun = threading.Event()\n"
        "def make(folder):\n"
        "    (folder / 'file').write_text('half'); begun.set(); threading.Event().wait()\n"
        "threading.Thread(target=lambda: cache.entry('export', 'a', make), daemon=True).start()\n"
        "begun.wait()"
    )
    with another_process(code):
        (making,) = (cache.root() / "export").glob(".making-*")
        eviction.prune(10**9)
        assert making.exists()
    eviction.prune(10**9)
    assert not making.exists()


def test_only_what_can_be_made_again_is_removed() -> None:
    make("a")
    clock = cache.root() / "reference-machine.json"
    clock.write_text("{}")
    board = cache.root() / "emulated" / "kryo"
    board.mkdir(parents=True)
    (board / "rootfs").write_text("x")
    assert len(eviction.prune(0)) == 1
    assert clock.exists()
    assert (board / "rootfs").exists()
    assert eviction.other_bytes(eviction.items()) >= 3


def test_processes_of_a_case_stay_while_a_run_can_go_on_with_them() -> None:
    today, old = (cache.root() / "parts" / name for name in ("today", "old"))
    for folder, age_s in ((today, 60.0), (old, 2 * 24 * 3600.0)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age_s, time.time() - age_s))
    eviction.prune(0)
    assert today.exists()
    assert not old.exists()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500M", 500 * 10**6), ("1.5 GB", 15 * 10**8), ("2t", 2 * 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert eviction.parse_size(text, "--to") == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1 PB", "1e9", "nan", "9" * 100])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="is no size: give one such as"):
        eviction.parse_size(text, "--to")


def test_the_limit_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert eviction.limit() == eviction.LIMIT_BYTES
    monkeypatch.setenv("FACEBENCH_CACHE_LIMIT", "3k")
    assert eviction.limit() == 3000


def test_the_commands_say_what_there_is_and_what_went() -> None:
    make("a", size=3000)
    make("b", "ncnn", size=500)
    runner = CliRunner()
    facts = json.loads(runner.invoke(cli, ["cache", "info", "--json"]).stdout)
    assert [(row["kind"], row["entries"]) for row in facts["kinds"]] == [("export", 1), ("ncnn", 1)]
    assert facts["bytes"] > 3500
    done = json.loads(runner.invoke(cli, ["cache", "prune", "--to", "0", "--json"]).stdout)
    assert done["removed"] == 2
    assert done["bytes"] == 0
    assert runner.invoke(cli, ["cache", "info"]).exit_code == 0


def test_nothing_is_removed_where_the_cache_is_a_folder_of_others(root: Path) -> None:
    others = root / "tvm" / "sources"
    others.mkdir(parents=True)
    (others / cache.MANIFEST).write_text("{}")
    (root / "thesis.tex").write_text("years of work")
    made = make("a", age_s=1000)
    assert eviction.items() == eviction.prune(0) == []
    assert made.is_dir()
    assert others.is_dir()


def test_folders_of_other_kinds_stay(root: Path) -> None:
    make("a", age_s=1000)
    other = root / "photos" / ".making-album"
    other.mkdir(parents=True)
    kept = make("b", kind="photographs", age_s=1000)
    locks._held.clear()
    assert [item.kind for item in eviction.prune(0)] == ["export"]
    assert other.is_dir()
    assert kept.is_dir()


def test_every_kind_that_is_made_can_be_removed() -> None:
    calls = re.compile(r"""(?:cache\.)?\bentry\(\s*"([a-z-]+)",""")
    package = Path(cache.__file__).parents[2]
    sources = [p for room in ("harness", "reports") for p in (package / room).rglob("*.py")]
    made = {kind for path in sources for kind in calls.findall(path.read_text())}
    assert len(made) > 10
    assert made <= eviction.KINDS


_NO_LOCKS = """
import errno, fcntl, os
def flock(file, how):
    raise OSError(errno.{0}, os.strerror(errno.{0}))
fcntl.flock = flock
"""


@pytest.mark.parametrize("reason", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_where_a_disk_knows_no_locks_it_is_said_once_and_nothing_is_removed(
    root: Path, reason: str
) -> None:
    kept = make("a", age_s=30)
    code = _NO_LOCKS.format(reason) + (
        "from facebench.harness.storage import cache, eviction\n"
        "for key in 'abc':\n"
        "    cache.entry('export', key, lambda made: (made / 'file').write_text('x'))\n"
        "assert eviction.prune(0) == []\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be locked on this disk") == 1
    assert kept.exists()
    assert len(list((root / "export").iterdir())) == 3
    assert len(list((root / "users").iterdir())) == 1  # this process

"""The digest of code: what it sees, and what it leaves out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import facebench
from facebench.harness.storage.fingerprints import Sources, code


def package(root: Path, **modules: str) -> Sources:
    """Sources of a facebench whose modules have these texts; two underscores are a dot."""
    root.mkdir(exist_ok=True)
    (root / "__init__.py").write_text("")
    for name, text in modules.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").write_text("")
        path.write_text(text)
    return Sources(root)


@pytest.mark.parametrize(
    "text",
    [
        "from facebench.room.other import x",
        "from facebench.room import other",
        "from facebench.room import (\n    nothing,\n    other,  # with a word on it\n)",
        "import facebench.room.other",
        "def f():\n    from facebench.room import other as another",
        'command = [python, "-m", "facebench.room.other"]',
    ],
)
def test_what_a_module_reaches_is_part_of_it(tmp_path: Path, text: str) -> None:
    before, after = (
        package(tmp_path / name, room__one=text, room__other=f"x = {name!r}") for name in "ab"
    )
    assert before.code("facebench.room.one") != after.code("facebench.room.one")


@pytest.mark.parametrize(
    "text",
    ["", "# from facebench.room import other", "other = 1", "from facebench import room"],
)
def test_what_it_does_not_reach_is_not(tmp_path: Path, text: str) -> None:
    before, after = (
        package(tmp_path / name, room__one=text, room__other=f"x = {name!r}") for name in "ab"
    )
    assert before.code("facebench.room.one") == after.code("facebench.room.one")


def test_imports_are_followed_to_the_end_and_may_go_round(tmp_path: Path) -> None:
    chain = {
        "room__one": "import facebench.room.two",
        "room__two": "import facebench.room.three",
        "room__three": "import facebench.room.one",
    }
    sources = package(tmp_path, **chain)
    names = {f"facebench.room.{name}" for name in ("one", "two", "three")}
    assert sources.closure("facebench.room.one") == names | {"facebench", "facebench.room"}


def test_of_a_package_all_modules_count_and_of_a_module_its_data(tmp_path: Path) -> None:
    one = package(tmp_path / "a", room__one="x = 1", room__other="y = 1")
    other = package(tmp_path / "b", room__one="x = 1", room__other="y = 2")
    assert one.code("facebench.room") != other.code("facebench.room")
    before = one.code("facebench.room.one")
    (tmp_path / "a" / "room" / "one.toml").write_text("z = 1")
    assert Sources(tmp_path / "a").code("facebench.room.one") != before


def test_modules_from_elsewhere_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somebodys_measure.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    sources = package(tmp_path / "ours", room__one="")
    before = sources.code("somebodys_measure")
    (tmp_path / "somebodys_measure.py").write_text("x = 2")
    assert Sources(tmp_path / "ours").code("somebodys_measure") != before


def test_no_such_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        code("facebench.harness.nothing")


def test_a_copy_has_the_code_of_the_original(tmp_path: Path) -> None:
    root = Path(facebench.__file__).parent
    for part in ("architectures", "harness"):
        shutil.copytree(root / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "__init__.py", tmp_path)
    name = "facebench.harness.measures.latency"
    assert Sources(tmp_path).code(name) == code(name)

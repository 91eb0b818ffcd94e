from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.revisions import install, requirements
from facebench.harness.comparison.revisions.checkout import Revision
from facebench.harness.comparison.revisions.environment import python_environment
from facebench.harness.storage.progress import SILENT
from tests.harness.comparison.revisions.environments import Fake
from tests.progress import Told

pytestmark = pytest.mark.usefixtures("own_cache")

NAMED = "facebench==0.1.0\n"
HERE = Path()


def tree(folder: Path, **files: str) -> Path:
    """Files by name; `__` in a name is a slash, `_` a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def revision(key: str) -> Revision:
    return Revision(f"git:{key}", key * 40, key=key * 40)


def test_revisions_that_differ_in_sources_alone_share_an_environment(tmp_path: Path) -> None:
    make = Fake()
    one = tree(tmp_path / "a", requirements_txt=NAMED, face_py="1")
    other = tree(tmp_path / "b", requirements_txt=NAMED, face_py="2")
    newer = tree(tmp_path / "c", requirements_txt=NAMED + "onnxruntime==1.21\n", face_py="2")
    found = [
        python_environment(folder, HERE, revision(name), SILENT, make)
        for name, folder in zip("abc", (one, other, newer), strict=True)
    ]
    assert found[0].python == found[1].python != found[2].python
    assert [one.folder for one in found] == [one, other, newer]
    asked = [(list(map(list, commands)), where) for commands, where in make.asked]
    assert asked == [
        ([["install", "-r", "requirements.txt"]], one),
        ([["install", "-r", "requirements.txt"]], newer),
    ]


def test_facebench_itself_runs_from_its_own_tree(tmp_path: Path) -> None:
    project = '[project]\nname = "facebench"\ndependencies = ["click"]\n'
    make = Fake()
    trees = [
        tree(tmp_path / name, pyproject_toml=text)
        for name, text in (("a", project), ("b", project + "[tool.ruff]\nline-length = 90\n"))
    ]
    for folder in trees:
        (folder / "facebench").mkdir()
        (folder / "facebench" / "__init__.py").touch()
    found = [
        python_environment(folder, HERE, revision(folder.name), SILENT, make) for folder in trees
    ]
    assert found[0].python == found[1].python
    for one, folder in zip(found, trees, strict=True):
        asked = "import importlib.util as i; print(i.find_spec('facebench').origin)"
        command = [str(one.python), "-P", "-c", asked]
        done = subprocess.run(command, env=one.all_variables(), capture_output=True, text=True)
        assert done.stdout.strip() == str(folder / "facebench/__init__.py")


def test_a_repository_that_asks_for_no_facebench_is_measured_by_this_one(tmp_path: Path) -> None:
    told = Told()
    files = {"requirements_txt": "torch\nfacebench-extras\n# facebench\n", "setup_cfg": "[a]\n"}
    found = python_environment(tree(tmp_path / "a", **files), HERE, revision("a"), told, Fake())
    assert found.python == Path(sys.executable)
    assert "git:a (aaaaaaaaaa) asks for no facebench" in told.said[0]


def test_of_another_distribution_only_the_dependencies_stay(tmp_path: Path) -> None:
    text = '[project]\nname = "face-app"\ndependencies = ["facebench>=0.1", "numpy"]\n'
    found = requirements.read(tree(tmp_path, pyproject_toml=text), "sources")
    assert found.commands == (("install", "."), ("uninstall", "--yes", "face-app"))


@pytest.mark.parametrize("name", ['name = "--target=x"', "", 'name = "a b"'])
def test_a_project_to_be_installed_has_a_proper_name(name: str, tmp_path: Path) -> None:
    text = f'[project]\n{name}\ndependencies = ["{{}}"]\n'
    with pytest.raises(BadInputError, match=r"pyproject.toml: .* is no name of a project"):
        requirements.read(tree(tmp_path, pyproject_toml=text.format("facebench")), "sources")
    other = tree(tmp_path, pyproject_toml=text.format("torch"))
    assert requirements.read(other, "sources").commands == ()


@pytest.mark.parametrize(
    ("files", "untold"),
    [
        ({"setup_py": "install_requires=['facebench']"}, True),
        ({"pyproject_toml": '[build-system]\nrequires = ["poetry-core"]\n'}, True),
        ({"pyproject_toml": '[project]\nname = "a"\ndynamic = ["dependencies"]\n'}, True),
        ({"pyproject_toml": '[project]\nname = "a"\ndependencies = ["facebench-x"]\n'}, False),
        ({"pyproject_toml": 'project = "a"\n'}, False),
        ({"pyproject_toml": "[tool.ruff]\nline-length = 90\n", "setup_cfg": "[flake8]\n"}, False),
    ],
)
def test_what_only_a_build_can_tell_is_not_guessed(
    files: dict[str, str], untold: bool, tmp_path: Path
) -> None:
    told = Told()
    folder = tree(tmp_path / "a", **files)
    found = python_environment(folder, HERE, revision("a"), told, Fake())
    assert found.python == Path(sys.executable)
    assert ("leaves it to a build" in told.said[0], "asks for no" in told.said[0]) == (
        untold,
        not untold,
    )
    # A list of requirements is read all the same.
    tree(folder, requirements_txt=NAMED)
    commands = requirements.read(folder, "sources").commands
    assert commands == (("install", "-r", "requirements.txt"),)


@pytest.mark.parametrize(
    "line", ["-e ./vendored", "./wheels/facebench.whl", "facebench @ file:///x", "-r ../other.txt"]
)
def test_what_is_installed_from_the_sources_is_not_shared(line: str, tmp_path: Path) -> None:
    folder = tree(tmp_path, requirements_txt=f"{NAMED}{line}\n")
    assert requirements.read(folder, "a").key != requirements.read(folder, "b").key
    plain = tree(tmp_path, requirements_txt=f"{NAMED}-r requirements/more.txt\n")
    tree(tmp_path, requirements__more_txt="numpy\n")
    assert requirements.read(plain, "a").key == requirements.read(plain, "b").key


def test_the_nearest_project_from_where_the_user_stands_counts(tmp_path: Path) -> None:
    tree(tmp_path, requirements_txt="", app__requirements_txt="", app__models__x_txt="")
    assert requirements.project(tmp_path, Path("app/models")) == tmp_path / "app"
    assert requirements.project(tmp_path, Path("other")) == tmp_path


def test_an_interrupted_or_failed_installation_is_made_anew(tmp_path: Path) -> None:
    folder = tree(tmp_path / "a", requirements_txt=NAMED)
    with pytest.raises(KeyboardInterrupt):
        python_environment(folder, HERE, revision("a"), SILENT, Fake(stops=True))
    with pytest.raises(BadInputError, match=r"dependencies of git:a \(aaaaaaaaaa\) cannot.*no net"):
        python_environment(folder, HERE, revision("a"), SILENT, Fake(fails="install: no net"))
    make = Fake()
    python_environment(folder, HERE, revision("a"), SILENT, make)
    python_environment(folder, HERE, revision("a"), SILENT, make)
    assert len(make.asked) == 1


def test_an_environment_without_facebench_is_one_sentence(tmp_path: Path) -> None:
    folder = tree(tmp_path / "a", requirements_txt=NAMED)
    with pytest.raises(BadInputError, match="facebench is not among them"):
        python_environment(folder, HERE, revision("a"), SILENT, Fake(facebench=False))


def test_a_folder_that_a_revision_lacks_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no folder sub"):
        python_environment(tmp_path, Path("sub"), revision("a"), SILENT, Fake())


@pytest.mark.slow
def test_a_real_environment_sees_what_it_asks_for_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline: a package without dependencies, and a wheel that needs no building."""
    wheel(tmp_path / "wheels", "facebench", "facebench")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    folder = tree(tmp_path / "a", requirements_txt="facebench==1.0\n")
    told = Told()
    found = python_environment(folder, HERE, revision("a"), told)
    assert any("Successfully installed facebench-1.0" in line for line in told.news)
    asked = "import facebench as c, sys; print(c.__file__); import numpy"
    done = subprocess.run(
        [str(found.python), "-P", "-c", asked],
        env=found.all_variables(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(found.python.parents[1]))
    assert "No module named 'numpy'" in done.stderr
    tree(tmp_path / "b", requirements_txt="facebench==2.0\n")
    with pytest.raises(BadInputError, match=r"pip install .*No matching distribution"):
        python_environment(tmp_path / "b", HERE, revision("b"), SILENT, install.make)


def wheel(folder: Path, name: str, package: str) -> None:
    """A wheel of version 1.0 with one package that has a `cli`."""
    import zipfile

    folder.mkdir()
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{package}/__init__.py", "")
        file.writestr(f"{package}/cli.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.comparison.revisions import checkout
from facebench.harness.comparison.revisions.git import git, repository
from facebench.harness.storage.progress import SILENT
from tests.harness.comparison.revisions.conftest import Repo
from tests.progress import Told

pytestmark = pytest.mark.usefixtures("own_cache")


def files(repo: Repo, text: str, notes: list[str] | None = None) -> tuple[Path, dict[str, str]]:
    """A revision's folder, and what is in it."""
    where = repository(repo.top)
    told = Told()
    folder = checkout.check_out(where, checkout.resolve(where, text), told)
    if notes is not None:
        notes += told.said
    found = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    return folder, found


def state(repo: Repo) -> tuple[str, str, str, bytes]:
    """All of a repository that a command must leave alone."""
    index = (repo.top / ".git/index").read_bytes()
    return (
        repo.git("status", "--porcelain"),
        repo.git("for-each-ref"),
        repo.git("count-objects", "-v"),
        index,
    )


def test_each_revision_has_its_files_and_the_repository_stays_as_it_is(repo: Repo) -> None:
    repo.commit("v1", a_txt="one", sub__b_txt="b")
    repo.commit(a_txt="two")
    repo.write(a_txt="three", new_txt="new")
    before = state(repo)
    assert files(repo, "git:v1")[1] == {"a.txt": "one", "sub/b.txt": "b"}
    assert files(repo, "git:main")[1] == {"a.txt": "two", "sub/b.txt": "b"}
    assert files(repo, "git:HEAD~1")[0] == files(repo, "git:v1")[0]
    assert files(repo, "git:.")[1]["a.txt"] == "three"
    assert state(repo) == before


def test_a_working_tree_is_as_it_is_but_for_what_git_ignores(repo: Repo) -> None:
    repo.commit(a_txt="a", gone_txt="g", d__e_txt="e", staged_txt="s")
    (repo.top / ".gitignore").write_text("*.log\n")
    (repo.top / "gone.txt").unlink()
    (repo.top / "link").symlink_to("a.txt")
    (repo.top / "d/e.txt").unlink()
    (repo.top / "d").rmdir()
    repo.write(d="now a file", x_log="ignored", staged_txt="s2")
    repo.git("add", "staged.txt")
    folder, found = files(repo, "git:.")
    assert found == {
        "a.txt": "a", "d": "now a file", "staged.txt": "s2", ".gitignore": "*.log\n", "link": "a",
    }  # fmt: skip
    assert (folder / "link").is_symlink()


def test_a_working_tree_is_known_by_what_is_in_it(repo: Repo) -> None:
    head = repo.commit(a_txt="a")
    where = repository(repo.top)
    clean = checkout.resolve(where, "git:.")
    assert (clean.key, clean.label) == (head, f"git:. ({head[:10]})")
    repo.write(a_txt="b")
    one = checkout.resolve(where, "git:.")
    assert one.label.endswith("with changes)")
    repo.write(a_txt="c")
    other = checkout.resolve(where, "git:.")
    repo.write(a_txt="b")
    assert len({clean.key, one.key, other.key}) == 3
    assert checkout.resolve(where, "git:.") == one


def test_a_change_while_files_are_copied_is_one_sentence(repo: Repo, own_cache: Path) -> None:
    repo.commit(a_txt="a")
    repo.write(a_txt="b")
    where = repository(repo.top)
    revision = checkout.resolve(where, "git:.")
    repo.write(a_txt="c")
    with pytest.raises(BadInputError, match="changed while its files were copied"):
        checkout.check_out(where, revision, SILENT)
    assert not [path for path in (own_cache / "revisions/trees").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    "name",
    ["nothing", "", "--upload-pack=touch x", "-h", "a..b", "HEAD:a.txt", "a\nb", "$(touch x)",
     "^HEAD", "\x00"],
)  # fmt: skip
def test_a_name_that_is_no_revision_is_one_sentence(name: str, repo: Repo) -> None:
    repo.commit(a_txt="a")
    with pytest.raises(BadInputError, match="is no revision of") as error:
        checkout.resolve(repository(repo.top), f"git:{name}")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in repo.top.iterdir()) == [".git", "a.txt"]


def test_without_a_checkout_or_git_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Repo
) -> None:
    with pytest.raises(UnavailableError, match="in no git checkout"):
        repository(tmp_path)
    with pytest.raises(BadInputError, match="is no revision"):
        checkout.resolve(repository(repo.top), "git:.")  # no commit yet
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="git is not installed"):
        repository(tmp_path)


def test_it_works_from_a_hook_a_shallow_clone_and_a_linked_worktree(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit("v1", a_txt="one")
    repo.commit(a_txt="two")
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", f"file://{repo.top}", shallow], check=True
    )
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "--detach", str(linked), "v1")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    for top, expected in ((shallow, "two"), (linked, "one")):
        where = repository(top)
        folder = checkout.check_out(where, checkout.resolve(where, "git:HEAD"), SILENT)
        assert (folder / "a.txt").read_text() == expected
    # What a build asks for its version.
    assert git(folder, "describe", "--tags").strip() == "v1"


def test_two_at_once_make_one_tree(repo: Repo) -> None:
    repo.commit(**{f"f{i}_txt": str(i) for i in range(50)})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: files(repo, "git:main"), range(4)))
    assert all(one == found[0] for one in found)
    assert len(found[0][1]) == 50


def test_what_is_not_brought_is_said(repo: Repo, tmp_path: Path) -> None:
    other = Repo(_made(tmp_path / "other"))
    other.commit(o_txt="o")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.top), "sub")
    repo.write(m_onnx="version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    repo.commit(**{"_gitattributes": "*.onnx filter=lfs\n"})
    notes: list[str] = []
    files(repo, "git:main", notes)
    assert "submodules are not checked out" in notes[0]
    assert "m.onnx is a pointer of Git LFS" in notes[1]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder

"""A revision's files, in a folder of the cache; the user's checkout stays as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.revisions import kept
from facebench.harness.comparison.revisions.git import Repository, commit, git, names
from facebench.harness.storage import cache
from facebench.harness.storage.progress import Progress

PREFIX = "git:"
WORKING_TREE = "."
_LFS_POINTER = b"version https://git-lfs"


def is_one(text: str) -> bool:
    """Return whether a side's name is that of a git revision."""
    return text.startswith(PREFIX)


@dataclass(frozen=True)
class Revision:
    """A revision is what is checked out.

    Attributes:
        text: as the user named it, `git:` included.
        commit: full hash.
        changed: paths of the working tree that differ from the commit; empty for a commit.
        key: hash of what the files depend on: of a commit its own.
    """

    text: str
    commit: str
    changed: tuple[str, ...] = ()
    key: str = ""

    @property
    def label(self) -> str:
        """Return the revision's name as it is shown.

        Example:
            >>> Revision("git:main", 40 * "a").label
            'git:main (aaaaaaaaaa)'
        """
        return f"{self.text} ({self.commit[:10]}{' with changes' if self.changed else ''})"


def resolve(where: Repository, text: str) -> Revision:
    """Return the revision of a side's name.

    Raises:
        BadInputError: there is none of this name.
    """
    name = text.removeprefix(PREFIX)
    if name != WORKING_TREE:
        found = commit(where, name)
        return Revision(text, found, key=found)
    head = commit(where, "HEAD")
    changed = _changed(where.top, head)
    return Revision(text, head, changed, _key(where.top, head, changed))


def check_out(where: Repository, revision: Revision, progress: Progress) -> Path:
    """Return the folder of a revision's files, whole; made where there is none yet.

    It is a repository of its own that borrows the user's objects. Of a working tree, files
    that git ignores are left out; of any, submodules are.

    Raises:
        BadInputError: git can't, or the working tree changed meanwhile.
    """
    folder = kept.folder("trees") / revision.key[:32]
    waiting = f"waiting for another facebench that checks {revision.label} out"
    with kept.locked(folder.with_suffix(".lock"), lambda: progress.say(waiting)):
        if not folder.is_dir():
            progress.newest(f"checking {revision.label} out")
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as temporary:
                made = Path(temporary) / "tree"
                _clone(where.top, revision.commit, made)
                _overlay(where.top, revision, made)
                made.rename(folder)
    for note in _missing(folder):
        progress.say(f"{revision.label}: {note}")
    return folder


def _changed(top: Path, head: str) -> tuple[str, ...]:
    tracked = names(
        top, "diff", "--name-only", "-z", "--no-renames", "--ignore-submodules", head, "--"
    )
    untracked = names(top, "ls-files", "-z", "--others", "--exclude-standard")
    # A folder among them is another repository, and as a submodule not ours.
    return tuple(sorted(name for name in {*tracked, *untracked} if not name.endswith("/")))


def _key(top: Path, head: str, changed: Sequence[str]) -> str:
    if not changed:
        return head
    return cache.digest(head, [(repr(name), _state(top / name)) for name in changed])


def _state(path: Path) -> str:
    """Return what a file is; empty where there is none."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return ""
    return f"{cache.file_digest(path)} {path.stat().st_mode & 0o111 != 0}"


def _clone(top: Path, head: str, folder: Path) -> None:
    """Clone a repository, with this commit checked out.

    Not `git clone`: that copies where the source is shallow, as on a CI server, and then
    lacks commits that no branch holds.
    """
    form = git(top, "rev-parse", "--show-object-format").strip()
    shared = git(top, "rev-parse", "--path-format=absolute", "--git-common-dir")
    source = Path(shared.removesuffix("\n"))
    folder.mkdir()
    git(folder, "init", "--quiet", "--template=", f"--object-format={form}")
    own = folder / ".git"
    (own / "objects/info").mkdir(exist_ok=True)
    (own / "objects/info/alternates").write_text(f"{source / 'objects'}\n")
    if (source / "shallow").is_file():
        shutil.copy(source / "shallow", own / "shallow")
    # Tools that build a distribution ask tags for its version.
    tags = git(top, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
    (own / "packed-refs").write_text(tags, errors="surrogateescape")
    # Files of LFS that the user has, no server is asked for.
    storage = f"lfs.storage={source / 'lfs'}"
    git(folder, "-c", storage, "checkout", "--quiet", "--detach", head)


def _overlay(top: Path, revision: Revision, folder: Path) -> None:
    """Make the folder what the working tree is."""
    for name in revision.changed:
        if (folder / name).is_symlink() or (folder / name).is_file():
            (folder / name).unlink()
    for name in revision.changed:
        source, target = top / name, folder / name
        if not source.is_symlink() and not source.is_file():
            continue
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    if _key(folder, revision.commit, revision.changed) != revision.key:
        raise BadInputError(f"{top} changed while its files were copied: run the command again")


def _missing(folder: Path) -> list[str]:
    """Return what a checkout does not bring, in words."""
    notes = []
    staged = names(folder, "ls-files", "--stage", "-z")
    if any(line.startswith("160000 ") for line in staged):
        notes.append("submodules are not checked out: their folders are empty")
    pointers = [
        name
        for name in names(folder, "ls-files", "-z", ":(attr:filter=lfs)")
        if (folder / name).is_file() and _begins(folder / name, _LFS_POINTER)
    ]
    if pointers:
        notes.append(
            f"{pointers[0]} is a pointer of Git LFS, not the file: install git-lfs, 'git lfs "
            "fetch' that revision, and remove " + str(folder)
        )
    return notes


def _begins(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start

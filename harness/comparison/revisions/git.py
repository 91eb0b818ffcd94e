"""git, asked without a shell; the user's repository is read and never written to."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError, UnavailableError

# A hook's variables: they point at the repository that it runs in, wherever git is sent.
_POINTERS = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE",
    "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE",
}  # fmt: skip

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitError(BadInputError):
    """It says what git refused, in its own words."""


def git(folder: Path, *arguments: str) -> str:
    """Return what a command of git prints.

    Raises:
        GitError: it failed.
        UnavailableError: there is no git.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _POINTERS}
    # Neither refreshes an index of the user's on the way, nor runs hooks, nor asks anything.
    kept |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    command = ["git", "-c", "core.hooksPath=/dev/null", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=kept)
    except FileNotFoundError as error:
        raise UnavailableError(
            "git is not installed, and git revisions are to be compared: install git"
        ) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise GitError(f"git {arguments[0]} failed in {folder}: {said or 'it did not say why'}")
    return done.stdout.decode(errors="surrogateescape")


def names(folder: Path, *arguments: str) -> list[str]:
    """Return the paths that a command with `-z` lists."""
    return [name for name in git(folder, *arguments).split("\0") if name]


@dataclass(frozen=True)
class Repository:
    """It is a checkout of the user's.

    Attributes:
        top: its folder.
        prefix: where in it the user stands, relative.
    """

    top: Path
    prefix: Path


def repository(folder: Path) -> Repository:
    """Return the checkout that a folder is in.

    Raises:
        UnavailableError: it is in none.
    """
    try:
        top = git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")
        prefix = git(folder, "rev-parse", "--show-prefix").removesuffix("\n")
    except GitError as error:
        raise UnavailableError(
            f"{folder} is in no git checkout, and git revisions are to be compared: go to one "
            f"({error})"
        ) from error
    return Repository(Path(top), Path(prefix))


def commit(where: Repository, name: str) -> str:
    """Return the hash of the commit that a revision's name stands for.

    Raises:
        BadInputError: there is no such revision.
    """
    # What begins with a dash would be an option of git's.
    if name and name.isprintable() and not name.startswith("-"):
        try:
            found = git(where.top, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
            if _HASH.fullmatch(found):
                return found
        except GitError:
            pass
    raise BadInputError(
        f"git:{name!r:.80} is no revision of {where.top}: give a branch, a tag, a commit, or "
        "git:. for the working tree; what is on a server only, 'git fetch' brings"
    )

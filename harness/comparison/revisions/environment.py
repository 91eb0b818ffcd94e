"""Provides the environment of a revision: that of its dependencies, with its own sources put
first.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import install, kept, requirements
from facebench.harness.comparison.revisions.checkout import Revision
from facebench.harness.comparison.revisions.install import Maker
from facebench.harness.comparison.revisions.requirements import Requirements
from facebench.harness.storage import cache, writing
from facebench.harness.storage.progress import Progress

# Written last: an environment without it was interrupted, and is made anew.
_COMPLETE = "facebench.json"

_NOT_ASKED = (
    "asks for no facebench (in requirements*.txt or [project] of pyproject.toml), so the one that "
    "runs this measures it, with the packages it has here"
)
_UNTOLD = (
    "leaves it to a build to tell what it depends on, so the facebench that runs this measures it, "
    "with the packages it has here; to have its own, name facebench in requirements.txt or in "
    "[project] of pyproject.toml"
)

# Folders that may be relative to where the user stands, which processes of a revision do not.
_FOLDERS = {"FACEBENCH_CACHE", "FACEBENCH_DATA", "FACEBENCH_TUNING"}


def python_environment(
    tree: Path, prefix: Path, revision: Revision, progress: Progress, make: Maker = install.make
) -> PythonEnvironment:
    """Return where a revision is measured; its environment is made where there is none yet.

    Environments are kept by what they hold: the dependencies. Revisions that differ in sources
    alone share one, and facebench's own sources come from the revision's tree.

    Args:
        tree: the revision's files.
        prefix: where in it the user stands.
        revision: which one it is.
        progress: told what is going on.
        make: makes an environment.

    Raises:
        BadInputError: the folder is not in the revision, or the dependencies can't be installed.
    """
    folder = tree / prefix
    if not folder.is_dir():
        raise BadInputError(
            f"{revision.label} has no folder {prefix}: go to one that both revisions have"
        )
    project = requirements.project(tree, prefix)
    wanted = requirements.read(project, revision.key)
    set_here = sorted(_FOLDERS & os.environ.keys())
    variables = {name: str(Path(os.environ[name]).resolve()) for name in set_here}
    if not wanted.commands:
        progress.say(f"{revision.label} {_UNTOLD if wanted.untold else _NOT_ASKED}")
        return PythonEnvironment(revision.label, Path(sys.executable), variables, folder)
    made = _made(project, wanted, revision, progress, make)
    # An empty one hides the user's own.
    variables |= {"PYTHONPATH": str(project) if wanted.own else "", "PYTHONHOME": ""}
    python = made / "bin" / "python"
    found = PythonEnvironment(revision.label, python, variables, folder).with_its_layout()
    if found is None:
        raise BadInputError(
            f"the dependencies of {revision.label} are installed, and facebench is not among them: "
            "name it in requirements.txt or in the dependencies of pyproject.toml"
        )
    return found


def _made(
    project: Path, wanted: Requirements, revision: Revision, progress: Progress, make: Maker
) -> Path:
    build = platform.python_version(), platform.machine(), str(Path(sys.executable).resolve())
    key = cache.digest(wanted.key, build)
    folder = kept.folder("environments") / key
    waiting = f"waiting for another facebench that installs the dependencies of {revision.label}"
    with kept.locked(folder.with_suffix(".lock"), lambda: progress.say(waiting)):
        if (folder / _COMPLETE).is_file():
            return folder
        progress.say(f"installing the dependencies of {revision.label}, once for all like them")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            make(folder, wanted.commands, project, progress.newest)
        except BadInputError as error:
            raise BadInputError(
                f"the dependencies of {revision.label} cannot be installed: {error}"
            ) from error
        writing.write(folder / _COMPLETE, json.dumps({"pip": wanted.commands}))
    return folder

"""`import facebench` is quick, and its names are few, documented and shown by examples."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from typing import Any

import pytest

import facebench
from facebench.harness import api
from facebench.harness.storage import fingerprints

FUNCTIONS = [name for name in dir(facebench) if inspect.isfunction(getattr(facebench, name))]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_import_loads_nothing_of_ours() -> None:
    found = modules_after("import facebench")
    assert {one for one in found if one.startswith("facebench")} == {"facebench"}
    assert not {"numpy", "torch"} & found


def test_the_functions_load_what_is_slow_when_they_need_it() -> None:
    code = "import facebench; facebench.networks(); facebench.read"
    modules_after(code)  # which may look up what is known from then on
    found = modules_after(code)
    assert not {"IPython", "matplotlib", "pandas", "torch", "tvm"} & found


def test_the_names_are_those_that_are_listed() -> None:
    assert dir(facebench) == sorted(api.__all__)
    assert {"cost", "latency", "verify", "compile", "export", "compare", "claims", "networks",
            "read"} <= set(FUNCTIONS)  # fmt: skip
    with pytest.raises(AttributeError, match="no attribute 'lattency'"):
        getattr(facebench, "lattency")  # noqa: B009  # which types would not allow


@pytest.mark.parametrize("name", [*FUNCTIONS, "Changes", "Records", "Scores"])
def test_each_has_an_example_that_is_run(name: str) -> None:
    made: Any = getattr(facebench, name)
    assert doctest.DocTestParser().get_examples(made.__doc__)
    assert ">>> import facebench\n" in made.__doc__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_parameter_has_a_type_and_a_line(name: str) -> None:
    function = getattr(facebench, name)
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert f"        {parameter.name}: " in function.__doc__


def test_no_figure_depends_on_how_it_is_asked_for() -> None:
    """Else each change to these functions would make every record and cache entry obsolete."""
    ours = fingerprints.closure("facebench.harness.measures", "facebench.harness.models")
    assert not [name for name in ours if name.startswith("facebench.harness.api")]

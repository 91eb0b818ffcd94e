"""Which networks there are is known without importing them, and is what importing them says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.architectures import extensions
from facebench.harness.models import known_networks

TELL = """
import json, sys
from facebench.architectures import registry
from facebench.harness.models import networks

def facts():
    return [
        [one.name, one.input_size, one.embedding_size, one.reference, one.paper_row, one.note,
         one.source, repr(one.preprocessing), registry.module(one.name),
         one.published and [one.published.parameters, one.published.madds, one.published.flops,
                            one.published.source, one.published.input_size,
                            one.published.differs, bool(one.published.build)]]
        for one in map(registry.find, registry.names())
    ]

found, papers, families = facts(), registry.paper_names(), registry.families()
early = "torch" in sys.modules
width = registry.find("mobilefacenet_s").build()[0][0].out_channels
later = registry.find("timm:resnet18:gap").name
assert facts() == found and registry.paper_names() == papers and registry.families() == families
print(json.dumps([early, width, later, found, families]))
"""


def told() -> list[object]:
    done = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[object]]:
    """What was told where nothing was kept; tests go on with the cache that it filled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield told()


def test_what_is_kept_is_what_the_modules_register(first: list[object]) -> None:
    second = told()
    assert (first[0], second[0]) == (True, False)  # whether torch was imported for it
    assert first[1:] == second[1:]
    assert second[1:3] == [64, "timm:resnet18:gap"]


DIRECT = """
from facebench.architectures import registry
from facebench.harness.models import networks
before = registry.names()
import facebench.architectures.mobilenet_v1
assert registry.names() == before
assert registry.find("mobilenet_v1").build() is not None
assert sorted(registry.names()) == sorted(before)
"""


@pytest.mark.usefixtures("first")
def test_a_module_that_somebody_imports_takes_the_place_of_what_was_foretold_of_it() -> None:
    subprocess.run([sys.executable, "-c", DIRECT], check=True)


BEFORE = """
import facebench.architectures.mobilenet_v1
from facebench.architectures import registry
from facebench.harness.models import networks
assert registry.find("mobilenet_v1").build() is not None
assert {"mobilenet_v1", "mobilefacenet"} <= set(registry.names())
"""


@pytest.mark.usefixtures("first")
def test_a_module_that_was_imported_before_anything_was_looked_up_is_registered_once() -> None:
    subprocess.run([sys.executable, "-c", BEFORE], check=True)


def test_networks_of_a_users_file_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(extensions.VARIABLE, str(tmp_path / "mine.py"))
    assert known_networks.told() is None


def test_without_a_cache_they_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "file"))
    assert known_networks.told() is None

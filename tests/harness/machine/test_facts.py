"""The facts of an environment that make two times comparable, as captured here."""

from __future__ import annotations

import pytest

from facebench.harness.machine import facts, pinning
from facebench.harness.machine.environment import capture, machine_key


def test_what_lasts_is_the_same_a_moment_later() -> None:
    assert facts.lasting(capture()) == facts.lasting(capture())
    assert "load_1min" not in facts.lasting(capture())


def test_no_figure_depends_on_a_name() -> None:
    here, other = capture(), {**capture(), "host": "another", "memory_bytes": 1}
    assert facts.lasting(here) != facts.lasting(other)
    assert facts.relevant(here) == facts.relevant(other)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cpu_model", "machine"),
        ("kernel", "system"),
        ("onnxruntime", "versions"),
        ("governor", "settings"),
        ("threads_visible", "settings"),
    ],
)
def test_each_fact_is_of_a_kind(name: str, kind: str) -> None:
    assert facts.kind_of(name) == kind


def test_a_pinned_process_is_on_the_same_machine() -> None:
    key = machine_key()
    with pinning.pinned(1):
        assert machine_key() == key
        seen = capture()
    assert {name: seen[name] for name in facts.MACHINE} == {
        name: capture()[name] for name in facts.MACHINE
    }

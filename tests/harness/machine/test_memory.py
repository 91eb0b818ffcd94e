"""Resident memory, of this process and of made-up ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from facebench.harness.machine.memory import (
    Memory,
    begin_anew,
    pages_of_files,
    peak_bytes,
)

GROWS = """
from facebench.harness.machine.memory import begin_anew, peak_bytes
begin_anew()
before = peak_bytes()
held = bytearray(64 * 2**20)
held[:: 4096] = bytes(len(held[:: 4096]))
print(peak_bytes() - before)
"""

FORKS = """
import os
import numpy
from facebench.harness.machine import memory

def of_files():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssFile"))

pages = memory.pages_of_files()
print(of_files(), flush=True)
if not os.fork():
    print(of_files(), flush=True)
    memory.hold(pages)
    print(of_files(), flush=True)
    os._exit(0)
os.wait()
"""


def test_a_fork_that_has_touched_the_pages_of_its_parent_holds_as_many() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    parent, before, after = map(int, done.stdout.split())
    assert before < 0.9 * parent
    # Around a page that is touched the kernel maps those that it holds in its cache already,
    # among them some that the parent never touched.
    assert 0.98 * parent < after < 1.1 * parent


def test_where_pages_are_not_shown_none_are_known(tmp_path: Path) -> None:
    assert pages_of_files(tmp_path) is None


def test_what_a_process_takes_is_seen() -> None:
    done = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(64 * 2**20, rel=0.1)


def test_the_kernel_s_figure_is_taken_where_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("Name:\tx\nVmPeak:\t9 kB\nVmHWM:\t  1234 kB\n")
    assert peak_bytes(tmp_path) == 1234 * 1024
    begin_anew(tmp_path)
    assert (tmp_path / "proc/self/clear_refs").read_text() == "5"


@pytest.mark.parametrize("status", [None, "", "VmHWM:\n", "VmHWM: much kB\n"])
def test_elsewhere_it_is_that_of_getrusage(tmp_path: Path, status: str | None) -> None:
    if status is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/status").write_text(status)
    assert peak_bytes(tmp_path) > 2**20
    begin_anew(tmp_path / "nowhere")


def test_what_is_added_is_beyond_what_was_there() -> None:
    assert Memory(10, 25, 30).added_bytes == 20

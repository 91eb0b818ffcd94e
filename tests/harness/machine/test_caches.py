from pathlib import Path

import pytest

from facebench.harness.machine import caches
from facebench.harness.machine.caches import DataCache


def machine(folder: Path, cpus: dict[int, list[tuple[str, int, str, str]]]) -> Path:
    """A kernel's files: of each CPU, its caches' type, level, size and sharers."""
    for cpu, found in cpus.items():
        for index, values in enumerate(found):
            place = folder / f"cpu{cpu}" / "cache" / f"index{index}"
            place.mkdir(parents=True)
            for name, value in zip(
                ("type", "level", "size", "shared_cpu_list"), values, strict=True
            ):
                (place / name).write_text(f"{value}\n")
    return folder


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})


def test_caches_are_counted_once_however_many_cpus_share_them(tmp_path: Path) -> None:
    # Two clusters of two CPUs, as a server's chiplets are.
    cpus = {
        cpu: [
            ("Data", 1, "32K", str(cpu)),
            ("Instruction", 1, "64K", str(cpu)),
            ("Unified", 2, "1024K", str(cpu)),
            ("Unified", 3, "32M", "0-1" if cpu < 2 else "2-3"),
        ]
        for cpu in range(4)
    }
    found = caches.data_caches(machine(tmp_path, cpus))
    assert {one.size_bytes for one in found} == {2**15, 2**20, 2**25}
    assert caches.last_level_bytes(found) == 2 * 2**25
    assert caches.second_level_bytes(found) == 2**20


def test_a_shared_second_level_is_divided_among_its_cpus(tmp_path: Path) -> None:
    cpus = {cpu: [("Data", 1, "32K", str(cpu)), ("Unified", 2, "2M", "0-3")] for cpu in range(4)}
    found = caches.data_caches(machine(tmp_path, cpus))
    assert caches.second_level_bytes(found) == 2**19
    assert caches.last_level_bytes(found) == 2**21


def test_cpus_that_this_process_may_not_use_have_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1})
    cpus = {cpu: [("Unified", 2, "1M", str(cpu))] for cpu in range(4)}
    found = caches.data_caches(machine(tmp_path, cpus))
    assert found == {DataCache(2, 2**20, "1")}


@pytest.mark.parametrize(
    "damage", [("Data", 1, "", "0"), ("Data", 1, "32K", ""), ("Data", "x", "1", "0")]
)
def test_what_a_virtual_machine_leaves_empty_is_not_known(
    damage: tuple[str, int, str, str], tmp_path: Path
) -> None:
    found = caches.data_caches(machine(tmp_path, {0: [damage]}))
    assert found == frozenset()
    assert caches.last_level_bytes(found) == caches.second_level_bytes(found) == 0


def test_a_kernel_that_shows_nothing_is_no_error(tmp_path: Path) -> None:
    assert caches.data_caches(tmp_path / "none") == frozenset()

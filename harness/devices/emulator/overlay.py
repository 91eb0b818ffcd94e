"""Shows emulated programs a named core's files where they would read this machine's own.

Runtimes choose their code by it: ncnn sizes its tiles by the caches that it finds
under /sys, ONNX Runtime picks kernels by the core that /proc/cpuinfo names, MNN by the
features. QEMU opens a file below its `-L` folder where there is one, and otherwise this
machine's, so a file that must not be found there is put in its way, empty. Folders
are listed as they are there: OpenVINO reads each cache that it finds listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facebench.harness.machine.cores import Cache, Core
from facebench.harness.storage import cache

_CPUS = "sys/devices/system/cpu"
_NODES = "sys/devices/system/node"

# Of a cache, in sysfs.
_FILES = (
    "level",
    "type",
    "size",
    "ways_of_associativity",
    "coherency_line_size",
    "number_of_sets",
    "shared_cpu_map",
    "shared_cpu_list",
)

# Twice QEMU's own timer of 62.5 MHz, in millions: what Linux prints of it.
_BOGOMIPS = "125.00"

# As many caches as any machine has that an emulator runs on.
_INDICES = 4

# Of the clock, which no count may depend on: one of this machine's is in none of them.
_CLOCK = ("cpuinfo_max_freq", "cpuinfo_min_freq", "scaling_max_freq", "stats/time_in_state")

# Of the sysroot; the kernel's folders and those of data are this machine's.
_NOT_LINKED = {"dev", "home", "proc", "root", "run", "sys", "tmp"}


def overlay(root: Path, core: Core) -> Path:
    """Return the folder for `qemu -L` in which programs find a core's own processors and caches.

    Args:
        root: the sysroot that it is laid over.
        core: whose figures are shown; where it has none, no caches are.
    """
    links = [path for path in sorted(root.iterdir()) if path.name not in _NOT_LINKED]
    texts = {path: f"{text}\n" if text else "" for path, text in _texts(core)}

    def make(folder: Path) -> None:
        for path in links:
            (folder / path.name).symlink_to(path)
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    return cache.entry("overlays", cache.digest(texts, list(map(str, links))), make)


def _texts(core: Core) -> Iterator[tuple[str, str]]:
    """Yield each file's path and what is in it."""
    count = core.figures.cores if core.figures else 1
    every = _listed(range(count))
    yield "proc/cpuinfo", "\n\n".join(_processor(core, cpu) for cpu in range(count))
    for name in ("online", "possible", "present"):
        yield f"{_CPUS}/{name}", every
    yield f"{_CPUS}/kernel_max", "255"
    yield f"{_NODES}/node0/cpulist", every
    for node in Path("/", _NODES).glob("node[1-9]*"):
        yield f"{_NODES}/{node.name}/cpulist", ""
    for cpu in range(count):
        yield f"{_NODES}/node0/cpu{cpu}/topology/core_id", str(cpu)
        yield f"{_CPUS}/cpu{cpu}/topology/physical_package_id", "0"
        yield f"{_CPUS}/cpu{cpu}/topology/core_id", str(cpu)
        for name in ("thread_siblings_list", "core_cpus_list"):
            yield f"{_CPUS}/cpu{cpu}/topology/{name}", str(cpu)
        for name in ("core_siblings_list", "cluster_cpus_list", "package_cpus_list"):
            yield f"{_CPUS}/cpu{cpu}/topology/{name}", every
        yield f"{_CPUS}/cpufreq/stats/cpu{cpu}/time_in_state", ""
        for name in _CLOCK:
            yield f"{_CPUS}/cpu{cpu}/cpufreq/{name}", ""
        yield f"{_CPUS}/cpu{cpu}/regs/identification/midr_el1", f"{_midr(core):#018x}"
        for index in range(_INDICES):
            facts = _cache_facts(core, index, cpu, count)
            for name in _FILES:
                yield f"{_CPUS}/cpu{cpu}/cache/index{index}/{name}", facts.get(name, "")


def _processor(core: Core, cpu: int) -> str:
    """Return a paragraph of /proc/cpuinfo, as Linux prints it."""
    version = 8 if "asimd" in core.features.split() else 7
    return (
        f"processor\t: {cpu}\n"
        f"BogoMIPS\t: {_BOGOMIPS}\n"
        f"Features\t: {core.features}\n"
        f"CPU implementer\t: {core.implementer:#04x}\n"
        f"CPU architecture: {version}\n"
        "CPU variant\t: 0x0\n"
        f"CPU part\t: {core.parts[0]:#05x}\n"
        "CPU revision\t: 0"
    )


def _listed(cpus: range) -> str:
    """Return processors as Linux lists them: `0-3`."""
    return f"{cpus[0]}-{cpus[-1]}" if len(cpus) > 1 else str(cpus[0])


def _midr(core: Core) -> int:
    """Return the identification register, of the first revision; Arm's manual, MIDR_EL1."""
    by_features = 0xF
    return core.implementer << 24 | by_features << 16 | core.parts[0] << 4


def _cache_facts(core: Core, index: int, cpu: int, count: int) -> dict[str, str]:
    """Return files of a cache: L1 data, L1 instructions, L2, L3, in the order that Linux numbers
    them in.

    Of the instruction cache we know that there is one. In the place of a third level that a
    core lacks is its second again: empty files would be a cache that cannot be read.
    """
    if core.figures is None:
        return {}
    if index == 1:
        return {"level": "1", "type": "Instruction"}
    level = min(max(index, 1), len(core.figures.levels))
    kind = "Unified" if index else "Data"
    geometry = _geometry(core.figures.levels[level - 1], cpu, count)
    return {"level": str(level), "type": kind, **geometry}


def _geometry(found: Cache, cpu: int, count: int) -> dict[str, str]:
    sharing = range(count) if found.shared else range(cpu, cpu + 1)
    ways, line = found.associativity, found.line_bytes
    return {
        "size": f"{found.size_bytes // 1024}K",
        "ways_of_associativity": str(ways),
        "coherency_line_size": str(line),
        "number_of_sets": str(found.size_bytes // (ways * line)),
        "shared_cpu_map": f"{sum(1 << one for one in sharing):x}",
        "shared_cpu_list": _listed(sharing),
    }

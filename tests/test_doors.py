"""What writes or prints passes the one door for it; exceptions are named, with reasons."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.places import ROOT

_PRODUCT = ("architectures", "harness", "reports")
_WRITES = {"write_text", "write_bytes", "save", "savez", "savetxt", "copy", "copy2", "copyfile",
           "copytree", "touch", "symlink_to", "rename", "tofile"}  # fmt: skip
_NO_FILES = {"copy", "rename", "save"}  # as methods of other things, such as arrays and tables
_MODULES = {"np", "numpy", "shutil", "torch", "onnx", "os", "tarfile", "Image"}

_ENTRY = "in a folder of a random name that `storage.cache.entry` made and renames when whole"
_OWN = "in a temporary folder of this process alone"
_PIPE = "a pipe to our own process, which makes it printable"

# Where files are written past `storage/writing.py`, and why no planted link can lead elsewhere.
WRITES = {
    "harness/comparison/revisions/checkout.py": "in a checkout of a random name, renamed when done",
    "harness/cli/catalogue.py": _ENTRY,
    "harness/cli/output/comparison.py": "the file that GitHub names for a step's summary",
    "harness/compiler/build.py": _ENTRY,
    "harness/compiler/program.py": _ENTRY,
    "harness/devices/board/client.py": "a tar in memory",
    "harness/devices/emulator/overlay.py": _ENTRY,
    "harness/devices/emulator/recipes.py": _ENTRY,
    "harness/devices/emulator/sysroot.py": _OWN,
    "harness/machine/memory.py": "a file of /proc",
    "harness/measures/emulated_inference.py": _ENTRY,
    "harness/measures/identification.py": _ENTRY,
    "harness/models/export.py": _ENTRY,
    "harness/models/kept_modules.py": _ENTRY,
    "harness/models/known_networks.py": _ENTRY,
    "harness/models/onnx_network/exporting.py": _ENTRY,
    "harness/models/tflite_network/calling.py": _ENTRY,
    "harness/models/integer_network/network.py": _ENTRY,
    "harness/models/precision.py": _ENTRY,
    "harness/models/quantize.py": _ENTRY,
    "harness/runs/model_files.py": "the file that `writing.replace` gives",
    "harness/runtimes/litert_cpu.py": _ENTRY,
    "harness/runtimes/executorch_cpu.py": _OWN,
    "harness/runtimes/executorch_export.py": _ENTRY,
    "harness/runtimes/openvino_cpu.py": _OWN,
    "harness/runtimes/openvino_quantize.py": _ENTRY,
    "harness/runtimes/ncnn_cpu.py": _ENTRY,
    "harness/runtimes/ncnn_half.py": _ENTRY,
    "harness/storage/cache.py": "it makes the entries, of random names",
    "harness/storage/downloads.py": "in a folder of a random name, moved when whole",
    "harness/storage/locks.py": "opened for new files alone",
    "harness/storage/remote.py": "a tar in memory",
    "harness/storage/unpacking.py": "opened for new files alone",
    "harness/storage/writing.py": "it is the door",
    "harness/training/checkpoint.py": "the file that `writing.replace` gives",
    "harness/training/weights.py": "the file that `writing.replace` gives",
    "harness/training/data/source.py": _ENTRY,
    "harness/training/data/survey.py": _ENTRY,
    "harness/training/train.py": "the file that `writing.replace` gives",
    "harness/tuning/bench.py": _OWN,
    "harness/tuning/emulated.py": _OWN,
    "harness/tuning/measured.py": _OWN,
    "harness/verification/crops.py": _ENTRY,
    "harness/verification/datasets/synthetic.py": _ENTRY,
    "harness/verification/embedding.py": _ENTRY,
    "harness/verification/identification.py": _ENTRY,
    "harness/verification/layout.py": "in a folder of a random name, renamed when whole",
    "harness/verification/preparation.py": _ENTRY,
    "reports/render.py": _ENTRY,
    "reports/standing.py": _ENTRY,
}

# Where text is printed past `cli/output/terminal.py`.
PRINTS = {
    "harness/cli/output/comparison.py": "GitHub's commands, whose texts are made visible first",
    "harness/cli/output/terminal.py": "JSON, which escapes what is no ASCII",
    "harness/comparison/outputs/github.py": "GitHub's commands, of a random token alone",
    "harness/devices/board/tell_facts.py": _PIPE,
    "harness/devices/board/relay.py": "a port, to a pipe to our own process",
    "harness/runs/worker.py": _PIPE,
    "harness/runtimes/executorch_export.py": _PIPE,
    "harness/timing/peak_worker.py": _PIPE,
    "harness/tuning/bench.py": _PIPE,
    "harness/tuning/worker.py": _PIPE,
}


def test_what_writes_passes_the_door_or_is_named_with_a_reason() -> None:
    assert _where(_writes) == set(WRITES)


def test_what_prints_makes_text_harmless_or_is_named_with_a_reason() -> None:
    assert _where(_prints) == set(PRINTS)


@pytest.mark.parametrize(
    "code",
    ["open(p, 'w')", "p.open(mode='ab')", "p.write_text('')", "np.save(p, a)", "shutil.copy(a, b)",
     "os.rename(a, b)", "p.touch()", "torch.save(s, f)"],
)  # fmt: skip
def test_each_way_to_write_is_seen(code: str) -> None:
    assert _writes(_call(code))


@pytest.mark.parametrize("code", ["open(p)", "p.open('rb')", "a.copy()", "x.save(y)"])
def test_what_writes_nothing_is_not(code: str) -> None:
    assert not _writes(_call(code))


def _where(found: object) -> set[str]:
    assert callable(found)
    return {name for name, call in _calls() if found(call)}


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for folder in _PRODUCT:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield path.relative_to(ROOT).as_posix(), node


def _call(code: str) -> ast.Call:
    node = ast.parse(code, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


def _writes(call: ast.Call) -> bool:
    name, owner = _name(call)
    if name == "open":
        words = [*call.args, *(word.value for word in call.keywords)]
        texts = [one.value for one in words if isinstance(one, ast.Constant)]
        return any(isinstance(t, str) and set(t) <= set("rwxabt+") and set(t) & set("wxa+")
                   for t in texts)  # fmt: skip
    return name in _WRITES and (name not in _NO_FILES or re.split(r"\W", owner)[0] in _MODULES)


def _prints(call: ast.Call) -> bool:
    name, owner = _name(call)
    return (name == "print" and not owner) or (
        name == "write" and owner in ("sys.stdout", "sys.stderr")
    )


def _name(call: ast.Call) -> tuple[str, str]:
    """What is called, and what it belongs to."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr, ast.unparse(call.func.value)
    return (call.func.id, "") if isinstance(call.func, ast.Name) else ("", "")

"""A program calls the library's kernels, in an order and on storage that give the same answer."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from elftools.elf.elffile import ELFFile
from torch import nn

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler import build
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import features_of, import_tvm, resolve
from facebench.harness.models import export, networks
from facebench.harness.models.export import Exported
from tests.harness.conftest import EMBEDDING, SIZE, write_onnx

HOST = TARGETS["host"]


def lowered(exported: Exported, batch: int = 1) -> Any:
    """The module that build hands to `relax.build`."""
    tvm = import_tvm()
    target = resolve(HOST)
    described = tvm.target.Target(target.options())
    features = features_of(target, described)
    return build._lower(import_network(exported, batch), target, described, features)[0]


def program_of(module: Any) -> Any:
    import_tvm()
    return importlib.import_module("facebench.harness.compiler.program").program(module)


@pytest.fixture(scope="module")
def tiny_program(tiny_exported: Exported) -> Any:
    return program_of(lowered(tiny_exported, batch=2))


def test_every_kernel_is_in_the_library(tiny_program: Any, tiny_exported: Exported) -> None:
    with build.compile_network(tiny_exported, HOST, 2).path.open("rb") as file:
        symbols = {s.name for s in ELFFile(file).get_section_by_name(".dynsym").iter_symbols()}
    assert {f"__tvm_ffi_{call.kernel}" for call in tiny_program.calls} <= symbols


def test_the_input_and_the_output_are_those_of_the_batch(tiny_program: Any) -> None:
    assert tiny_program.input.shape == (2, 3, SIZE, SIZE)
    assert tiny_program.output.shape == (2, EMBEDDING)


def test_every_tensor_is_within_its_storage(tiny_program: Any) -> None:
    for tensor in (argument for call in tiny_program.calls for argument in call.arguments):
        assert tensor.offset + tensor.size_bytes <= tiny_program.storages[tensor.storage]


def assert_read_as_written(program: Any) -> None:
    """Each kernel reads constants, the input, or what the last writer of that storage wrote."""
    written = {program.input.storage: program.input}
    for call in program.calls:
        *read, made = call.arguments
        for tensor in (tensor for tensor in read if tensor.storage):
            last = written[tensor.storage]
            assert (last.offset, last.size_bytes) == (tensor.offset, tensor.size_bytes)
            assert tensor.storage != made.storage
        written[made.storage] = made
    assert written[program.output.storage].size_bytes == program.output.size_bytes


def test_nothing_is_overwritten_before_it_is_read(tiny_program: Any) -> None:
    assert_read_as_written(tiny_program)


@pytest.mark.parametrize(
    "name", ["shufflenet_v1", pytest.param("mobilenet_v2", marks=pytest.mark.slow)]
)
def test_joined_branches_keep_their_storage(name: str) -> None:
    assert_read_as_written(program_of(lowered(export.export(networks.resolve(name)))))


def test_flattening_between_kernels_is_a_view(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 16), nn.ReLU(), nn.Linear(16, 8)
    ).eval()
    onnx = write_onnx(module, tmp_path / "flat.onnx")
    program = program_of(lowered(export.export(networks.resolve(f"onnx:{onnx}"))))
    made = program.calls[0].arguments[-1]
    read = program.calls[1].arguments[0]
    assert (made.shape, read.shape) == ((1, 14, 14, 4), (1, 14, 14, 4))
    assert (made.storage, made.offset) == (read.storage, read.offset)
    assert_read_as_written(program)


def test_the_file_is_what_its_description_says(
    tiny_program: Any, tiny_exported: Exported, tmp_path: Path
) -> None:
    path = tmp_path / "network.program"
    importlib.import_module("facebench.harness.compiler.program").write(
        lowered(tiny_exported, 2), path
    )
    first, _, rest = path.read_bytes().partition(b"\n")
    word, version, storages, tensors, calls = first.split()
    assert (word, version) == (b"program", b"1")
    *lines, constants = rest.split(b"\n", int(storages) + int(tensors) + int(calls) + 2)
    expected = [b"storage"] * int(storages) + [b"tensor"] * int(tensors) + [b"call"] * int(calls)
    assert [line.split()[0] for line in lines] == [*expected, b"input", b"output"]
    assert lines[0].split()[1] == b"%d" % len(constants)
    assert (int(storages), int(calls)) == (len(tiny_program.storages), len(tiny_program.calls))


def test_constants_are_the_weights_where_kernels_may_read_them(
    tiny_program: Any, tiny_exported: Exported
) -> None:
    constants = {
        tensor
        for call in tiny_program.calls
        for tensor in call.arguments
        if tensor.storage == 0 and tensor.shape == (EMBEDDING * 8 * 8 * 8,)
    }
    (last,) = constants
    assert last.offset % 64 == 0
    held = tiny_program.constants[last.offset : last.offset + last.size_bytes]
    weights = list(tiny_exported.module().parameters())[-2].detach().numpy()
    # Filters are innermost: a vector of them is loaded for each tap and channel.
    packed = weights.transpose(2, 3, 1, 0).ravel()
    np.testing.assert_array_equal(np.frombuffer(held, "<f4"), packed)


def _relax_main(body: str, *inputs: str) -> Any:
    """A module of one function with these inputs, as text of TVM's script."""
    tvm = import_tvm()
    given = ", ".join(f"x{i}: R.Tensor({shape}, dtype='float32')" for i, shape in enumerate(inputs))
    text = f"@I.ir_module\nclass Module:\n    @R.function\n    def main({given}):\n{body}"
    return tvm.script.from_source(text)


def test_two_inputs_are_refused() -> None:
    module = _relax_main("        return x0\n", "(1, 3)", "(1, 3)")
    with pytest.raises(BadInputError, match="a network of 2 inputs"):
        program_of(module)


def test_a_function_of_tvms_runtime_is_named() -> None:
    body = (
        "        y = R.call_pure_packed('vm.builtin.copy', x0, "
        "ty_args=(R.Tensor((1, 3), dtype='float32'),))\n        return y\n"
    )
    with pytest.raises(BadInputError, match=r"it has vm\.builtin\.copy"):
        program_of(_relax_main(body, "(1, 3)"))


def test_shapes_that_are_not_fixed_are_refused() -> None:
    module = _relax_main("        return x0\n", "('n', 3)")
    with pytest.raises(BadInputError, match="known only when it runs"):
        program_of(module)

"""A compiled network as the flat list of its kernel calls, for where TVM's runtime is not.

TVM's virtual machine needs TVM's runtime, of which there is none for armv7. All
that it does for a network of fixed shapes is to call kernels, one after the
other, on tensors whose places were planned when it was compiled. `network.program`
says so in a form that a small C program reads:

    program 1 STORAGES TENSORS CALLS
    storage BYTES
    tensor STORAGE OFFSET CODE BITS DIMENSIONS EXTENT...
    call KERNEL ARGUMENTS TENSOR...
    input TENSOR
    output TENSOR

in this order, one line each, as many of the first three as the first line says,
in ASCII; then the bytes of storage 0, which holds the constants, little-endian.
Storages and tensors are numbered from 0. OFFSET is in bytes, a tensor is compact,
CODE and BITS are DLPack's of its elements, and a call's last tensors are those
that it writes. The kernel is the library's function `__tvm_ffi_KERNEL`.

The constants are here although the library holds them too: there they are part
of what TVM serialises for its virtual machine, whose form is TVM's own and changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import relax
from tvm.ir import GenericConst, GlobalVar, IRModule

from facebench.architectures.errors import BadInputError

# DLPack's type codes and bits, by TVM's names.
_TYPES = {
    "float64": (2, 64),
    "float32": (2, 32),
    "float16": (2, 16),
    "int64": (0, 64),
    "int32": (0, 32),
    "int8": (0, 8),
    "uint8": (1, 8),
    "bool": (6, 8),
}

# TVM's kernels demand that data start at a multiple of it.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Tensor:
    """It is a compact array in a storage.

    Attributes:
        storage: its number; 0 holds the constants.
        offset: where it begins in the storage, in bytes.
        shape: fixed extents.
        dtype: TVM's name of its elements' type.
    """

    storage: int
    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        """Return the bytes from its first byte to its last."""
        return math.prod(self.shape) * _TYPES[self.dtype][1] // 8


@dataclass(frozen=True)
class Call:
    """A kernel and the tensors it is given; those that it writes are the last."""

    kernel: str
    arguments: tuple[Tensor, ...]


@dataclass(frozen=True)
class Program:
    """A program is what one inference does, as a list of kernel calls.

    Attributes:
        storages: their sizes in bytes.
        constants: what storage 0 holds.
        calls: in order.
        input: images (N, 3, H, W), float32.
        output: embeddings (N, E), float32.
    """

    storages: tuple[int, ...]
    constants: bytes
    calls: tuple[Call, ...]
    input: Tensor
    output: Tensor

    def serialised(self) -> bytes:
        """Return its bytes, as the module's docstring describes them."""
        tensors = [self.input, self.output, *(t for call in self.calls for t in call.arguments)]
        numbers = {tensor: number for number, tensor in enumerate(dict.fromkeys(tensors))}
        lines = [_line("program", 1, len(self.storages), len(numbers), len(self.calls))]
        lines += [_line("storage", size) for size in self.storages]
        lines += [
            _line("tensor", t.storage, t.offset, *_TYPES[t.dtype], len(t.shape), *t.shape)
            for t in numbers
        ]
        lines += [
            _line("call", call.kernel, len(call.arguments), *(numbers[t] for t in call.arguments))
            for call in self.calls
        ]
        lines += [_line("input", numbers[self.input]), _line("output", numbers[self.output])]
        return "".join(lines).encode("ascii") + self.constants


def _line(*words: str | int) -> str:
    return " ".join(map(str, words)) + "\n"


def write(module: IRModule, path: Path) -> None:
    """Write the program of a lowered module.

    Args:
        module: as it is handed to `relax.build`, whose library has the kernels.
        path: the file, `network.program` beside the library.

    Raises:
        BadInputError: the network does what no list of kernel calls can express.
    """
    path.write_bytes(program(module).serialised())


def program(module: IRModule) -> Program:
    """Return the program of a lowered module; see `write`."""
    # The passes that plan storage are the library's own, so that the two agree.
    passes = [
        *relax.backend.cpu_generic.pipeline.dataflow_lower_passes(None),
        relax.transform.StaticPlanBlockMemory(),
        relax.transform.LowerAllocTensor(),
    ]
    return _Reader().read(tvm.transform.Sequential(passes)(module)["main"])


# What a variable of Relax stands for: a storage's number, a tensor, or several.
_Value = int | Tensor | tuple["_Value", ...]


class _Reader:
    """Goes through the bindings of `main` and keeps what each variable stands for."""

    def __init__(self) -> None:
        self._storages: list[int] = [0]
        self._constants = bytearray()
        self._calls: list[Call] = []
        self._values: dict[Any, _Value] = {}
        self._operators: dict[str, Callable[[Any], _Value]] = {
            "relax.memory.alloc_storage": self._storage,
            "relax.memory.alloc_tensor": self._tensor,
            "relax.reshape": self._view,
        }

    def read(self, main: relax.Function) -> Program:
        if len(main.params) != 1:
            raise BadInputError(
                f"a network of {len(main.params)} inputs cannot be run without TVM's runtime; "
                "give one whose only input is the images"
            )
        (images,) = main.params
        self._values[images] = given = self._input(images)
        for block in main.body.blocks:
            for binding in block.bindings:
                self._values[binding.var] = self._value(binding.value)
        output = self._tensor_of(main.body.body)
        for tensor in (given, output):
            if tensor.dtype != "float32":
                raise _inexpressible(f"inputs or outputs of type {tensor.dtype}")
        self._storages[0] = len(self._constants)
        return Program(
            storages=tuple(self._storages),
            constants=bytes(self._constants),
            calls=tuple(self._calls),
            input=given,
            output=output,
        )

    def _input(self, images: Any) -> Tensor:
        tensor = Tensor(len(self._storages), 0, _extents(images.ty.shape), _type(images.ty.dtype))
        self._storages.append(tensor.size_bytes)
        return tensor

    def _value(self, expression: Any) -> _Value:
        if isinstance(expression, relax.Var):
            return self._values[expression]
        if isinstance(expression, GenericConst):
            return self._constant(expression)
        if isinstance(expression, relax.Tuple):
            return tuple(self._value(field) for field in expression.fields)
        if isinstance(expression, relax.TupleGetItem):
            several = self._value(expression.tuple_value)
            assert isinstance(several, tuple)
            field: _Value = several[int(expression.index)]
            return field
        if isinstance(expression, relax.Call):
            return self._call(expression)
        raise _inexpressible(type(expression).__name__)

    def _call(self, call: Any) -> _Value:
        if isinstance(call.op, GlobalVar):
            arguments = tuple(self._tensor_of(argument) for argument in call.args)
            self._calls.append(Call(str(call.op.name_hint), arguments))
            return ()  # it writes its last arguments and returns nothing
        name = str(getattr(call.op, "name", None) or getattr(call.op, "global_symbol", call.op))
        if name not in self._operators:
            raise _inexpressible(name)
        return self._operators[name](call)

    def _storage(self, call: Any) -> int:
        (size,) = _extents(call.args[0])
        self._storages.append(size)
        return len(self._storages) - 1

    def _tensor(self, call: Any) -> Tensor:
        storage, offset, shape, dtype = call.args[:4]
        number = self._value(storage)
        assert isinstance(number, int)
        return Tensor(number, int(offset), _extents(shape), _type(dtype.value))

    def _view(self, call: Any) -> Tensor:
        viewed = self._tensor_of(call.args[0])
        return Tensor(viewed.storage, viewed.offset, _extents(call.args[1]), viewed.dtype)

    def _constant(self, constant: Any) -> Tensor:
        array = constant.value.numpy()
        self._constants += bytes(-len(self._constants) % _ALIGNMENT)
        tensor = Tensor(0, len(self._constants), array.shape, _type(array.dtype))
        self._constants += array.astype(array.dtype.newbyteorder("<")).tobytes()
        return tensor

    def _tensor_of(self, expression: Any) -> Tensor:
        value = self._value(expression)
        if not isinstance(value, Tensor):
            raise _inexpressible("a value that is no tensor")
        return value


def _extents(shape: Any) -> tuple[int, ...]:
    try:
        return tuple(int(extent) for extent in shape.values)
    except (AttributeError, TypeError, ValueError) as error:
        raise _inexpressible("shapes that are known only when it runs") from error


def _type(dtype: Any) -> str:
    name = str(dtype)
    if name not in _TYPES:
        raise _inexpressible(f"elements of type {name}")
    return name


def _inexpressible(what: str) -> BadInputError:
    return BadInputError(
        f"this network cannot be run without TVM's runtime: it has {what}; export it with fixed "
        "shapes and operators that TVM compiles to kernels"
    )

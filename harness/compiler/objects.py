"""Compiles each kernel of ours once: networks that call the same one share its object.

Networks for phones are built of few shapes, and most of a compilation's time is spent in the
code generator. A kernel's object is therefore kept in the cache, by what it does and for what
target, and a library is linked from objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm import IRModule, relax, tirx

from facebench.harness.compiler.kernels.provider import KERNEL, is_kernel
from facebench.harness.compiler.targets import Target
from facebench.harness.machine.environment import version
from facebench.harness.storage import cache, fingerprints

# A kernel of ours has no buffer that could be made smaller, and to look for one takes TVM
# longer than all its other passes together.
_SUPERFLUOUS = ["s_tir.CompactBufferAllocation"]


def separated(module: IRModule, target: Target, described: Any) -> tuple[IRModule, list[Path]]:
    """Return a lowered module that calls our kernels by name, and the objects that hold them.

    Args:
        module: in which a kernel's name says what it does, within its network.
        target: resolved.
        described: the same as TVM's.
    """
    kernels = {
        variable.name_hint: function
        for variable, function in module.functions_items()
        if isinstance(function, tirx.PrimFunc) and is_kernel(function)
    }
    rest = {
        variable: function
        for variable, function in module.functions_items()
        if variable.name_hint not in {*kernels, "main"}
    }
    main = _ByName(kernels).visit_expr(module["main"])
    calling = IRModule({module.get_global_var("main"): main, **rest}, attrs=module.attrs)
    return calling, [_object(name, kernels[name], target, described) for name in sorted(kernels)]


def _object(name: str, function: tirx.PrimFunc, target: Target, described: Any) -> Path:
    """Return the object file of a kernel, whose symbol is its name."""
    key = cache.digest(
        name,
        function.attrs[KERNEL],
        tvm_ffi.structural_hash(function, map_free_vars=True),
        asdict(target),
        [version(package) for package in ("apache-tvm", "apache-tvm-ffi")],
        fingerprints.code(__name__),
    )

    def make(folder: Path) -> None:
        named = function.with_attr("global_symbol", name)
        with tvm.transform.PassContext(disabled_pass=_SUPERFLUOUS):
            library = tvm.tirx.build(IRModule({name: named}), described)
        library.write_to_file(str(folder / "kernel.o"), "o")

    return cache.entry("kernels", key, make) / "kernel.o"


@relax.expr_functor.mutator
class _ByName(relax.PyExprMutator):  # type: ignore[misc]
    """It replaces calls of functions of the module by calls of symbols of those names."""

    def __init__(self, kernels: Mapping[str, tirx.PrimFunc]) -> None:
        super().__init__()
        self._kernels = kernels

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        if call.op != tvm.ir.Op.get("relax.call_tir"):
            return call
        function, arguments = call.args[:2]
        if function.name_hint not in self._kernels:
            return call
        return relax.op.call_dps_packed(function.name_hint, arguments, call.ty_args[0])

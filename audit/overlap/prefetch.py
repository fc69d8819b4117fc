# mypy: allow-untyped-defs
"""A hint to the processor, for kernels that look up many places of an array too large for its caches."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

AHEAD = 48  # look-ups between the hint and the reading: more than memory's delay, less than what the first cache holds
_READ, _KEEP, _DATA = 0, 3, 1  # arguments of LLVM's prefetch


@intrinsic
def prefetch(typing, array, place):
    """Begin to load array[place], which is not checked to be inside; nothing waits and nothing is returned."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], fnty=kind)
        builder.call(hint, [pointer, integer(_READ), integer(_KEEP), integer(_DATA)])
        return context.get_dummy_value()

    return types.void(array, place), generate

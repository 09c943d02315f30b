"""What every kernel shares: a fixed number of lanes, aligned scratch memory, and wide vectors.

Arrays of a kernel are rows of LANES numbers, and every sum runs down a lane. The order of additions is then
fixed by the data layout alone, so results do not depend on the width of the machine's vectors.
"""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from peakedtheory.kernels.functions import (
    FASTMATH,
    exp2_double,
    exp2_product_double,
    exp2_product_single,
    exp2_single,
)

LANES = 64

# For functions called from compiled code alone: without wrappers for Python they compile a good deal faster.
inner = njit(fastmath=FASTMATH, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@intrinsic
def use_wide_vectors(typingctx):
    """Let LLVM use 512-bit vectors in the calling function, where the processor has them.

    LLVM stays at 256 bits on Intel processors unless a function carries this attribute; sums and products of
    the kernels run about 1.4 times faster with it. The function must stay a function of its own (noinline),
    because an inlined body takes the attributes of its caller. Other processors ignore the attribute.
    """

    def codegen(context, builder, signature, arguments):
        attributes = builder.function.attributes
        # llvmlite's own add() knows only attributes without a value, so the base class's is called.
        set.add(attributes, '"prefer-vector-width"="512"')
        attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


def exp2(t):
    """2^t in the precision of t, for use in compiled code only (see `functions`)."""
    raise NotImplementedError("only callable from compiled code")


@overload(exp2, jit_options={"fastmath": FASTMATH, "forceinline": True}, inline="never")
def _exp2(t):
    if t == types.float32:
        return lambda t: exp2_single(t)
    return lambda t: exp2_double(t)


def exp2_product(a, b):
    """2^(a b) in the precision of a and b, the fastest way, for compiled code only (see `functions`)."""
    raise NotImplementedError("only callable from compiled code")


@overload(exp2_product, jit_options={"fastmath": FASTMATH, "forceinline": True}, inline="never")
def _exp2_product(a, b):
    if a == types.float32:
        return lambda a, b: exp2_product_single(a, b)
    return lambda a, b: exp2_product_double(a, b)


@intrinsic
def _address(typingctx, array):
    """Address of an array's first element (array.ctypes.data would keep the caller out of Numba's cache)."""

    def codegen(context, builder, signature, arguments):
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(view.data, context.get_value_type(types.intp))

    return types.intp(array), codegen


@inner
def aligned(size, like):
    """Return uninitialised scratch of `size` elements of the type of `like`, aligned to 64 bytes."""
    memory = np.empty(size + 16, dtype=like.dtype)
    offset = (-_address(memory) % 64) // memory.itemsize
    return memory[offset : offset + size]

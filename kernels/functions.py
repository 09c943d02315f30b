"""Elementary functions as polynomials that LLVM vectorises, in single and in double precision.

Numba calls the scalar C library for exp, log, sin and cos, which costs ten times more than the arithmetic
inside a loop. Each function here is branch-free: range reduction, then a polynomial, which interpolates at
Chebyshev nodes or has the least greatest error. Errors in single and double precision, tested against mpmath:
exp2 1.2e-7 and 2.2e-16, of a product 1.8e-7 and 2.2e-16, log 1.8e-7 and 3.4e-16 relative; sine and cosine
1.2e-7 and 2.3e-16 absolute.
"""

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

# Neither reassoc (it would delete the rounding constants below) nor nnan or ninf (inputs may hold them).
FASTMATH = {"contract", "nsz"}

LOG2_E = np.float64(1.4426950408889634)
LN_2 = np.float64(0.6931471805599453)

_F = np.float32
_ROUND32 = _F(1.5 * 2.0**23)  # adding it leaves the nearest integer in the low mantissa bits
_ROUND64 = np.float64(1.5 * 2.0**52)

# Part of its callers, in compiled code alone: without wrappers for Python a function compiles faster.
inlined = njit(
    fastmath=FASTMATH,
    error_model="numpy",
    forceinline=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)

# (2^f - 1) / f on |f| <= 1/2. With ln 2 as first coefficient, so that 2^f is right to second order, no others
# of their number leave less error in 1 + f times this: 3.1e-9, and 1.05e-7 for the shorter one.
_E32 = tuple(
    _F(c)
    for c in (
        0.69314718055994530942,
        0.24022647549763652136,
        0.055503622525979339707,
        0.0096185263043348250734,
        0.0013390161486140828934,
        0.0001532115469693683565,
    )
)
_SHORT_E32 = tuple(
    _F(c)
    for c in (
        0.69314718055994530942,
        0.24022281607754667019,
        0.055505599941417708021,
        0.00966970840461729792,
        0.0013300264184068697069,
    )
)

# (log(1+f) - f + f^2/2) / f^3 on sqrt(1/2) - 1 <= f <= sqrt(2) - 1
_L32 = tuple(
    _F(c)
    for c in (
        0.33333330728190676513,
        -0.25000306422569794618,
        0.20001045094160680261,
        -0.16641281463106392964,
        0.14214495923947962765,
        -0.12998183763651529101,
        0.12622319849228376431,
        -0.079027437723934409612,
    )
)
# (2 atanh(s) - 2s) / s^3 as a polynomial in s^2, |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
_L64 = (
    0.66666666666666696862,
    0.3999999999989950449,
    0.28571428625975484921,
    0.22222211134795079855,
    0.1818288912526172208,
    0.15331721600556041269,
    0.1461644968504340586,
)
# (sin(a) - a) / a^3 and (cos(a) - 1 + a^2/2) / a^4 as polynomials in a^2, |a| <= pi/4
_S32 = tuple(_F(c) for c in (-0.1666666466231437862, 0.0083327482706297494849, -0.00019587890880412385786))
_C32 = tuple(_F(c) for c in (0.041666664659502206772, -0.0013888303035894866037, 0.000024547942085071572513))
_S64 = (
    -0.16666666666666664624,
    0.0083333333333309484855,
    -0.00019841269836758574323,
    2.7557316102552440119e-6,
    -2.5051131845003624417e-8,
    1.5918129294866608667e-10,
)
_C64 = (
    0.041666666666666665389,
    -0.0013888888888887397237,
    0.000024801587298765687927,
    -2.7557317271729792882e-7,
    2.0876146268403197893e-9,
    -1.1382632425521718005e-11,
)
# (2^f - 1) / f on |f| <= 1/2
_E64 = (
    0.69314718055994530942,
    0.2402265069591009822,
    0.055504108664821594339,
    0.0096181291076068885273,
    0.001333355814641693531,
    0.00015403530441736050155,
    0.000015252733829836118394,
    1.3215442587921689653e-6,
    1.0178062445845773521e-7,
    7.0725859492692236999e-9,
    4.4549605981865183938e-10,
)
_MANTISSA = np.uint64(52)
_ONE_BITS = np.uint64(0x3FF0000000000000)
_TWO_52_BITS = np.uint64(0x4330000000000000)
_TO_BIASED = np.uint64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)  # bits of one less those of sqrt(1/2)
_LN2_HIGH = 0.693147180369123816490  # 32 significant bits, so that an exponent times it is exact
_LN2_LOW = 1.90821492927058770002e-10


@intrinsic
def multiply_add(typingctx, a, b, c):
    """Return a b + c, rounded once where the processor can.

    The compiler fuses a product and a sum by itself unless the product is used twice.
    """

    def codegen(context, builder, signature, arguments):
        real = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.fmuladd", [real], ir.FunctionType(real, [real] * 3))
        return builder.call(function, arguments)

    return a(a, a, a), codegen


@inlined
def exp2_single(t):
    """2^t for a float32 t with -126 <= t < 127 (no check: outside, the result is meaningless)."""
    shifted = t + _ROUND32
    f = t - (shifted - _ROUND32)
    p = _E32[5]
    p = p * f + _E32[4]
    p = p * f + _E32[3]
    p = p * f + _E32[2]
    p = p * f + _E32[1]
    p = p * f + _E32[0]
    p = p * f + _F(1.0)
    exponent = np.int32(np.float32(shifted).view(np.int32) << np.int32(23))
    return np.int32(np.float32(p).view(np.int32) + exponent).view(np.float32)


@inlined
def exp2_product_single(a, b):
    """2^(a b) as exp2_single, in two operations less and with a larger error."""
    shifted = multiply_add(a, b, _ROUND32)
    f = multiply_add(a, b, _ROUND32 - shifted)
    p = _SHORT_E32[4]
    p = p * f + _SHORT_E32[3]
    p = p * f + _SHORT_E32[2]
    p = p * f + _SHORT_E32[1]
    p = p * f + _SHORT_E32[0]
    p = p * f + _F(1.0)
    exponent = np.int32(np.float32(shifted).view(np.int32) << np.int32(23))
    return np.int32(np.float32(p).view(np.int32) + exponent).view(np.float32)


@inlined
def exp2_product_double(a, b):
    """2^(a b) in float64 for -1022 <= a b < 1023 (no check: outside, the result is meaningless)."""
    shifted = multiply_add(a, b, _ROUND64)
    f = multiply_add(a, b, _ROUND64 - shifted)
    p = _E64[10]
    p = p * f + _E64[9]
    p = p * f + _E64[8]
    p = p * f + _E64[7]
    p = p * f + _E64[6]
    p = p * f + _E64[5]
    p = p * f + _E64[4]
    p = p * f + _E64[3]
    p = p * f + _E64[2]
    p = p * f + _E64[1]
    p = p * f + _E64[0]
    p = p * f + 1.0
    return np.int64(np.float64(p).view(np.int64) + (np.float64(shifted).view(np.int64) << np.int64(52))).view(
        np.float64
    )


@inlined
def exp2_double(t):
    """2^t for a float64 t with -1022 <= t < 1023 (no check: outside, the result is meaningless)."""
    return exp2_product_double(1.0, t)


@inlined
def log_single(u):
    """Natural logarithm of a positive, normal float32."""
    bits = np.float32(u).view(np.int32)
    exponent = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    f = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32) - _F(1.0)
    p = _L32[7]
    p = p * f + _L32[6]
    p = p * f + _L32[5]
    p = p * f + _L32[4]
    p = p * f + _L32[3]
    p = p * f + _L32[2]
    p = p * f + _L32[1]
    p = p * f + _L32[0]
    square = f * f
    return _F(exponent) * _F(LN_2) + (f + square * (p * f - _F(0.5)))


@inlined
def _split_double(u):
    """Exponent e and f with u = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)."""
    # Unsigned, and converted by its bits: narrower vectors lack both for signed integers of 64 bits.
    bits = np.float64(u).view(np.uint64)
    biased = (bits + _TO_BIASED) >> _MANTISSA
    exponent = np.uint64(biased | _TWO_52_BITS).view(np.float64) - (2.0**52 + 1023.0)
    return exponent, np.uint64(bits - (biased << _MANTISSA) + _ONE_BITS).view(np.float64) - 1.0


@inlined
def _log_from_parts(e, f, s):
    """Compute e ln 2 + ln(1 + f) with s = f / (2 + f)."""
    z = s * s
    p = _L64[6]
    p = p * z + _L64[5]
    p = p * z + _L64[4]
    p = p * z + _L64[3]
    p = p * z + _L64[2]
    p = p * z + _L64[1]
    p = p * z + _L64[0]
    # 2 atanh(s) = f - s (f - s^2 p), whose leading term carries no rounding error
    return e * _LN2_HIGH + (f - (s * (f - z * p) - e * _LN2_LOW))


@inlined
def log_double(u):
    """Natural logarithm of a positive, normal float64."""
    e, f = _split_double(u)
    return _log_from_parts(e, f, f / (2.0 + f))


@inlined
def log_and_inverse_double(u):
    """Natural logarithm and inverse of a positive, normal float64 below 2^1020, with one division."""
    e, f = _split_double(u)
    both = 1.0 / (u * (2.0 + f))
    return _log_from_parts(e, f, f * (u * both)), (2.0 + f) * both


@inlined
def cos_sin_single(word):
    """Cosine and sine of 2π word / 2^32 for a uint32, reduced to an eighth of a turn in integers."""
    turned = np.uint32(word + np.uint32(0x20000000))
    rest = np.int32(np.int32(turned & np.uint32(0x3FFFFFFF)) - np.int32(0x20000000))
    a = _F(rest) * _F(np.pi * 2.0**-31)
    z = a * a
    sine = a + a * z * (_S32[0] + z * (_S32[1] + z * _S32[2]))
    cosine = _F(1.0) + z * (_F(-0.5) + z * (_C32[0] + z * (_C32[1] + z * _C32[2])))
    odd = (turned & np.uint32(0x40000000)) != np.uint32(0)
    upper = (turned & np.uint32(0x80000000)) != np.uint32(0)
    x = sine if odd else cosine
    y = cosine if odd else sine
    return (-x if odd != upper else x), (-y if upper else y)


@inlined
def cos_sin_double(word):
    """Cosine and sine of 2π word / 2^64 for a uint64, reduced to an eighth of a turn in integers."""
    turned = word + np.uint64(0x2000000000000000)
    rest = np.int64(turned & np.uint64(0x3FFFFFFFFFFFFFFF)) - np.int64(0x2000000000000000)
    a = np.float64(rest) * (np.pi * 2.0**-63)
    z = a * a
    s = _S64[0] + z * (_S64[1] + z * (_S64[2] + z * (_S64[3] + z * (_S64[4] + z * _S64[5]))))
    c = _C64[0] + z * (_C64[1] + z * (_C64[2] + z * (_C64[3] + z * (_C64[4] + z * _C64[5]))))
    sine = a + a * z * s
    cosine = 1.0 + z * (-0.5 + z * c)
    odd = (turned & np.uint64(0x4000000000000000)) != np.uint64(0)
    upper = (turned & np.uint64(0x8000000000000000)) != np.uint64(0)
    x = sine if odd else cosine
    y = cosine if odd else sine
    return (-x if odd != upper else x), (-y if upper else y)

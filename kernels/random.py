"""Counter-based random numbers for compiled loops: Philox4x32-10 and what is drawn from it.

Philox4x32 with ten rounds and its published parameters (Salmon, Moraes, Dror and Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011): four 32-bit words are a fixed function of a 128-bit counter and a
64-bit key. The counter is (sample: 64 bits, block: 32 bits, stream: 32 bits), so that what a sample draws
depends on nothing but (key, stream, sample): neither on threads, nor on chunks, nor on the order of work.

Blocks from RESERVED_BLOCKS on are kept for quantities drawn once for a sample (scales, shifts); the energies
use the blocks below it: energies 4b..4b+3 come from block b in single precision, 2b and 2b+1 in double.
"""

import numpy as np

from peakedtheory.kernels.functions import (
    cos_sin_double,
    cos_sin_single,
    inlined,
    log_double,
    log_single,
)

ROUNDS = 10
RESERVED_BLOCKS = 0xC0000000

# All words live in 64-bit integers: a 32 x 32 -> 64 bit product is then one vector instruction.
_U = np.uint64
_MULTIPLIER_0 = _U(0xD2511F53)
_MULTIPLIER_1 = _U(0xCD9E8D57)
_WEYL_0 = _U(0x9E3779B9)  # golden ratio
_WEYL_1 = _U(0xBB67AE85)  # sqrt(3) - 1
_LOW = _U(0xFFFFFFFF)
_32 = _U(32)
_12 = _U(12)
_20 = _U(20)
_ONE_BITS = _U(0x3FF0000000000000)
_F = np.float32


@inlined
def philox4x32(key, stream, sample, block):
    """Four random words (uint64 below 2^32) of the counter (sample, block, stream).

    All arguments are uint64; block and stream count modulo 2^32. The counter's 32-bit words are, from the
    first, the low and the high half of the sample, the block, the stream; the key's are its low and high
    half.
    """
    a = sample & _LOW
    b = sample >> _32
    c = block & _LOW
    d = stream & _LOW
    k0 = key & _LOW
    k1 = key >> _32
    for _ in range(ROUNDS):
        low = a * _MULTIPLIER_0
        high = c * _MULTIPLIER_1
        a = ((high >> _32) ^ b ^ k0) & _LOW
        b = high & _LOW
        c = ((low >> _32) ^ d ^ k1) & _LOW
        d = low & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return a, b, c, d


@inlined
def open_uniform(high, low):
    """Uniform on the open interval (0, 1) from two words: (k + 1/2) / 2^52 with k of 52 bits.

    Symmetric under u -> 1-u, exactly representable, at least 2^-53 away from both ends.
    """
    mantissa = (high << _20) | (low >> _12)
    return np.uint64(mantissa | _ONE_BITS).view(np.float64) - (1.0 - 2.0**-53)


@inlined
def uniform_pair(key, stream, sample, block):
    """Two independent uniforms on (0, 1), 52 bits each, from one block."""
    a, b, c, d = philox4x32(key, stream, sample, block)
    return open_uniform(a, b), open_uniform(c, d)


@inlined
def normals_single(radius_word, angle_word):
    """Two independent standard normals (float32) from two 32-bit words by the Box-Muller transform.

    The radius is that of (k + 1/2) / 2^32, so no deviate lies beyond sqrt(66 ln 2) = 6.76: with all 32 bits
    the probability beyond x is that of a normal to 1e-4 up to x = 5.4 and to 4 % up to x = 6.1.
    """
    u = (_F(np.uint32(radius_word)) + _F(0.5)) * _F(2.0**-32)
    radius = np.sqrt(_F(-2.0) * log_single(u))
    cosine, sine = cos_sin_single(np.uint32(angle_word))
    return radius * cosine, radius * sine


@inlined
def normals_double(a, b, c, d):
    """Two independent standard normals (float64) from the four words of a block; none beyond 8.57."""
    radius = np.sqrt(-2.0 * log_double(open_uniform(a, b)))
    cosine, sine = cos_sin_double((c << _32) | d)
    return radius * cosine, radius * sine

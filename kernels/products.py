"""Small matrix products in registers: tiles of C = A B whose sums run over the common dimension in order.

Every element of C is one chain of fused multiply-adds, so the result has the same bits on every machine, for
any tile and any number of threads. Rows of C come in multiples of ROWS and columns in multiples of COLUMNS;
nothing is checked.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from peakedtheory.kernels.lanes import inner, use_wide_vectors

ROWS = 8
COLUMNS = 16
_VECTOR_BITS = 512  # of the vectors in the code; LLVM cuts them up for narrower processors


class _TileBuilder:
    """LLVM code of one tile: `rows` rows by `vectors` vectors of sums, kept in registers over the depth."""

    def __init__(self, context, builder, signature, arguments, rows, vectors):
        self.builder = builder
        number = signature.args[0].dtype
        self.lanes = _VECTOR_BITS // number.bitwidth
        self.align = number.bitwidth // 8
        self.size = context.get_value_type(types.intp)
        self.vector = ir.VectorType(context.get_value_type(number), self.lanes)
        self.fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.lanes}f{number.bitwidth}",
        )
        self.places = [(r, v) for r in range(rows) for v in range(vectors)]
        self.rows, self.vectors = rows, vectors
        a, a_start, self.a_row, self.a_step, b, b_start, self.b_step, c, c_start, self.c_row = arguments[:10]
        starts = ((a, a_start, 0), (b, b_start, 4), (c, c_start, 7))
        self.a, self.b, self.c = (
            builder.gep(context.make_array(signature.args[i])(context, builder, array).data, [start])
            for array, start, i in starts
        )
        self.depth, self.add = arguments[10:]

    def number(self, value):
        return ir.Constant(self.size, value)

    def address(self, base, stride, row, column=0):
        offset = self.builder.add(self.builder.mul(stride, row), self.number(column))
        return self.builder.gep(base, [offset])

    def vector_at(self, address):
        return self.builder.bitcast(address, self.vector.as_pointer())

    def spread(self, address):
        """All lanes equal to the number at `address`."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        index = ir.VectorType(ir.IntType(32), self.lanes)
        one = self.builder.insert_element(
            undefined, self.builder.load(address), ir.Constant(ir.IntType(32), 0)
        )
        return self.builder.shuffle_vector(one, undefined, ir.Constant(index, [0] * self.lanes))

    def sums_after(self, k, sums):
        """Add the products at depth k to the sums."""
        load = self.builder.load
        b = [
            load(self.vector_at(self.address(self.b, self.b_step, k, v * self.lanes)), align=self.align)
            for v in range(self.vectors)
        ]
        here = self.address(self.a, self.a_step, k)
        a = [self.spread(self.address(here, self.a_row, self.number(r))) for r in range(self.rows)]
        return [
            self.builder.call(self.fma, [a[r], b[v], old])
            for (r, v), old in zip(self.places, sums, strict=True)
        ]

    def build(self):
        builder = self.builder
        c_places = [
            self.vector_at(self.address(self.c, self.c_row, self.number(r), v * self.lanes))
            for r, v in self.places
        ]
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        first = [builder.select(self.add, builder.load(at, align=self.align), zero) for at in c_places]
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("depth", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(self.size)
        sums = [builder.phi(self.vector) for _ in self.places]
        new = self.sums_after(k, sums)
        following = builder.add(k, self.number(1))
        for phi, start, value in zip([k, *sums], [self.number(0), *first], [following, *new], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, self.depth), loop, after)
        builder.position_at_end(after)
        for at, value in zip(c_places, new, strict=True):
            builder.store(value, at, align=self.align)


def _make_tile(rows, vectors):
    @intrinsic
    def tile(typingctx, a, a_start, a_row, a_step, b, b_start, b_step, c, c_start, c_row, depth, add):
        def codegen(context, builder, signature, arguments):
            _TileBuilder(context, builder, signature, arguments, rows, vectors).build()
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, size, size, size, b, size, size, c, size, size, size, types.boolean), codegen

    return tile


_tile_4, _tile_2, _tile_1 = _make_tile(4, 4), _make_tile(8, 2), _make_tile(8, 1)


@inner
def product(a, a_start, a_row, a_step, b, b_start, b_step, c, c_start, c_row, rows, columns, depth, add):
    """c[r, j] (+)= sum over k of a[r, k] b[k, j], for rows r, columns j, k < depth (at least 1).

    The arrays are flat; a[r, k] lies at a_start + r a_row + k a_step, b[k, j] at b_start + k b_step + j, and
    c[r, j] at c_start + r c_row + j. With `add` the sums start from what c holds, else from zero.
    """
    use_wide_vectors()
    lanes = 64 // c.itemsize
    vectors = columns // lanes
    if vectors % 4 == 0:
        for j in range(0, columns, 4 * lanes):
            for r in range(0, rows, 4):
                _tile_4(
                    a, a_start + r * a_row, a_row, a_step, b, b_start + j, b_step,
                    c, c_start + r * c_row + j, c_row, depth, add,
                )  # fmt: skip
    elif vectors % 2 == 0:
        for j in range(0, columns, 2 * lanes):
            for r in range(0, rows, 8):
                _tile_2(
                    a, a_start + r * a_row, a_row, a_step, b, b_start + j, b_step,
                    c, c_start + r * c_row + j, c_row, depth, add,
                )  # fmt: skip
    else:
        for j in range(0, columns, lanes):
            for r in range(0, rows, 8):
                _tile_1(
                    a, a_start + r * a_row, a_row, a_step, b, b_start + j, b_step,
                    c, c_start + r * c_row + j, c_row, depth, add,
                )  # fmt: skip

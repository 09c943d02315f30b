"""A smooth function and its derivative from tables of polynomials, element by element."""

from peakedtheory.kernels.cache import cached_njit


@cached_njit(error_model="numpy", nogil=True)
def fill_from_tables(a, tables, first, per_unit, values, slopes):
    """Fill both with polynomials of degree 7 at the flat array a.

    Tables are (cells, 2, 8), the lowest power first. Beyond the tables their first and last values stay.
    """
    cells = tables.shape[0]
    for k in range(a.size):
        place = (a[k] - first) * per_unit
        place = 0.0 if not place > 0.0 else min(place, cells - 1e-9)
        cell = int(place)
        t = place - cell
        value, slope = tables[cell, 0, 7], tables[cell, 1, 7]
        for power in range(6, -1, -1):
            value = value * t + tables[cell, 0, power]
            slope = slope * t + tables[cell, 1, power]
        values[k], slopes[k] = value, slope

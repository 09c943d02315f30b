"""Given logits: rows of an array laid out in the lanes of the kernels, as drawn energies are.

A row of at most SMALL logits lies in one lane, a longer one is spread over all lanes (entry j in lane
j % LANES). Logits of -inf carry no weight; a row needs at least one finite entry.
"""

from peakedtheory.kernels.accumulate import MASKED
from peakedtheory.kernels.lanes import LANES, inner


@inner
def copy_panel(given, sample, stop, first_row, rows, spread, x):
    """Fill rows first_row .. first_row + rows - 1 of the lanes; what lies outside the array is masked."""
    masked = x.dtype.type(2.0 * MASKED)
    n = given.shape[1]
    for i in range(LANES):
        line = sample if spread else sample + i
        step = LANES if spread else 1
        begin = first_row * LANES + i if spread else first_row
        for row in range(rows):
            j = begin + row * step
            x[row * LANES + i] = given[line, j] if line < stop and j < n else masked

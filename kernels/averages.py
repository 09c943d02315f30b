"""Averages of weights along a run: means of what is certain, variances of noise; docs/dynamics.md, Eq. 56."""

from peakedtheory.kernels.cache import cached_njit


@cached_njit(error_model="numpy", nogil=True)
def fill_averages(mixing, paths, squares, falls, out_paths, out_squares):
    """Fill both out arrays with what the average w̄ ← w̄ + a (w - w̄) of each step has of these.

    mixing : (steps,), the a of each step
    paths : (variables, steps + 1), certain quantities, from the start on
    squares : (groups, steps + 1), mean squares of noise
    falls : (groups, steps), the share of the noise itself that each step takes away
    """
    for v in range(paths.shape[0]):
        out_paths[v, 0] = paths[v, 0]
        for t in range(mixing.size):
            before = out_paths[v, t]
            out_paths[v, t + 1] = before + mixing[t] * (paths[v, t + 1] - before)
    for g in range(squares.shape[0]):
        own = shared = squares[g, 0]  # ⟨w̄²⟩ and ⟨w̄ w⟩
        out_squares[g, 0] = own
        for t in range(mixing.size):
            a = mixing[t]
            keep = 1.0 - a
            shared *= 1.0 - falls[g, t]
            own = keep * keep * own + 2.0 * a * keep * shared + a * a * squares[g, t + 1]
            shared = keep * shared + a * squares[g, t + 1]
            out_squares[g, t + 1] = own

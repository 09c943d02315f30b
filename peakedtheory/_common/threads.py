"""Compiled loops on several threads.

Kernels release Python's lock and take a range of items, so that a range can be shared among plain threads. A
kernel compiled this way costs half the time of one with a parallel loop of its own, and may be entered from
any thread.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable

#: A second thread costs more than it saves on shorter loops, on a busy machine above all.
_SECONDS_PER_THREAD = 1e-3


def number_of_threads() -> int:
    """Return Numba's own number, or one in a worker of a pool, which already occupies the processors."""
    import numba  # slow to import

    return 1 if multiprocessing.parent_process() is not None else int(numba.get_num_threads())


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    from numba.core import config  # slow to import

    workers = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    return concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix=f"peakedtheory-{process}")


def share(items: int, unit: int, seconds: float, work: Callable[[int, int], object]) -> None:
    """Call work(start, stop) for ranges that make up 0 .. items - 1, on several threads.

    Parameters
    ----------
    items : int
    unit : int
        All ranges but the last have a length that is a multiple of it.
    seconds : float
        Roughly how long all of it takes on one thread.
    work : callable
        Must not depend on how the items are cut.
    """
    blocks = -(-items // unit)
    pieces = max(1, min(blocks, number_of_threads(), int(seconds / _SECONDS_PER_THREAD)))
    edges = [min(items, unit * (blocks * piece // pieces)) for piece in range(pieces + 1)]
    ranges = list(itertools.pairwise(edges))
    others = [_pool(os.getpid()).submit(work, *some) for some in ranges[1:]]
    try:
        work(*ranges[0])
    finally:
        concurrent.futures.wait(others)
    for other in others:
        other.result()

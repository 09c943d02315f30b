"""Batches of inputs for stacks of cases, from the counter-based generator of `peakedtheory.kernels.inputs`.

Everything is drawn on the host, so that the inputs of a run are the same to the bit on every device.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from peakedtheory.kernels.inputs import fill_inputs, fill_rows, fill_uniforms
from peakedtheory.kernels.lanes import LANES

TRAINING, TEST = 0, 1  # streams
_TASK_NUMBERS = 1 << 15  # drawn by a thread at a time, at least
_TASKS = 128  # of all threads, about


def stream_key(*seeds: int) -> int:
    """Return the 64-bit key of a stream of inputs."""
    return int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0])


@dataclass(frozen=True)
class Inputs:
    """Inputs of several streams.

    Attributes
    ----------
    keys : tuple of int
        Key of each stream.
    width : int
        Number of inputs m.
    normalise : bool
        Whether each row is scaled to |x|² = m.
    """

    keys: tuple[int, ...]
    width: int
    normalise: bool

    def select(self, which: np.ndarray) -> Inputs:
        """Return some of the streams."""
        return Inputs(tuple(self.keys[i] for i in which), self.width, self.normalise)

    def draw(
        self, stream: int, first: int, steps: int, batch: int, pool: Executor | None = None, columns: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the batches of consecutive steps twice, in whole blocks of LANES rows.

        Parameters
        ----------
        stream : int
            TRAINING or TEST.
        first, steps : int
            The first step, and how many.
        batch : int
            Rows of a batch; blocks are filled up with the rows that follow.
        pool : Executor, optional
            Threads to share the work.
        columns : int
            Width of the rows, padded with zeros; by default m.

        Returns
        -------
        lanes : ndarray, shape (streams, steps, blocks, m, LANES)
            Row LANES b + i of a batch is lane i of block b.
        rows : ndarray, shape (streams, steps, blocks * LANES, columns)
        """
        blocks, columns = -(-batch // LANES), columns or self.width
        lanes = np.empty((len(self.keys), steps, blocks, self.width, LANES), np.float32)
        rows = np.zeros((len(self.keys), steps, blocks * LANES, columns), np.float32)

        def fill(g: int, here: slice) -> None:
            key, step = np.uint64(self.keys[g]), np.uint64(first + here.start)
            fill_inputs(key, np.uint64(stream), step, self.normalise, lanes[g, here], rows[g, here])

        self._share(fill, steps, blocks * LANES, pool)
        return lanes, rows

    def rows(
        self,
        stream: int,
        first: int,
        steps: int,
        batch: int,
        pool: Executor | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return batches as (streams, steps, batch, m), in `out` if it is given."""
        rows = np.empty((len(self.keys), steps, batch, self.width), np.float32) if out is None else out

        def fill(g: int, here: slice) -> None:
            key, step = np.uint64(self.keys[g]), np.uint64(first + here.start)
            fill_rows(key, np.uint64(stream), step, self.normalise, rows[g, here])

        self._share(fill, steps, batch, pool)
        return rows

    def uniforms(self, stream: int, first: int, steps: int, batch: int) -> np.ndarray:
        """Return what each row's label is drawn by, shape (streams, steps, whole blocks of rows)."""
        out = np.empty((len(self.keys), steps, -(-batch // LANES) * LANES))
        for key, numbers in zip(self.keys, out, strict=True):
            fill_uniforms(np.uint64(key), np.uint64(stream), np.uint64(first), numbers)
        return out

    def _share(
        self, fill: Callable[[int, slice], None], steps: int, batch: int, pool: Executor | None
    ) -> None:
        """Let threads fill the steps of all streams, in tasks of a useful size."""
        numbers = max(_TASK_NUMBERS, len(self.keys) * steps * batch * self.width // _TASKS)
        share = max(1, numbers // (batch * self.width))  # steps of a task
        tasks = itertools.product(range(len(self.keys)), range(0, steps, share))
        starts = [(g, slice(s, min(s + share, steps))) for g, s in tasks]
        list((map if pool is None else pool.map)(fill, *zip(*starts, strict=True)))

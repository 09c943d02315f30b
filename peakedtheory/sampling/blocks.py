"""Blocks of samples as independent tasks: in this process or through any executor, kept in a resume file.

Blocks are merged in the order of their numbers, so the result is the same to the bit whoever computes them,
in whatever groups, and whether or not the run was interrupted between two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.resume import ResumeFile
from peakedtheory._common.types import Executor
from peakedtheory.sampling.moments import Moments
from peakedtheory.sampling.samplers import Sampler

ATTEMPTS = 3
_TASK_SECONDS = 0.3
_OUTSTANDING = 32
_MOST_BLOCKS_IN_A_TASK = 64

Span = tuple[int, int]
Block = tuple[Moments, np.ndarray]


class WorkerError(RuntimeError):
    """A task failed again and again.

    Attributes
    ----------
    result : MonteCarloResult or None
        What the finished tasks give.
    """

    result: Any = None


def compute_blocks(sampler: Sampler, first: int, stop: int) -> list[Block]:
    """Return the moments of the blocks that samples first .. stop - 1 make up."""
    size = sampler.block
    return [sampler.moments(s, min(size, stop - s)) for s in range(first, stop, size)]


@dataclass
class BlockRun:
    """Blocks 0 .. blocks - 1 of a sampler, merged.

    Attributes
    ----------
    sampler : Sampler
    identity : dict
        What a resume file must agree with.
    executor : optional
        Anything with submit(function, *arguments) that returns something with result().
    checkpoint : Path, optional
        Resume file.
    report : callable
        Called with the number of samples done after each task.
    blocks : int
        Number of whole blocks merged.
    target : int
        Number of samples that the present round asks for.
    moments : Moments or None
    kept : list of ndarray
        ln Z of the samples, if the sampler keeps them.
    """

    sampler: Sampler
    identity: dict[str, Any]
    executor: Executor | None = None
    checkpoint: Path | None = None
    report: Callable[[int], None] = lambda done: None
    blocks: int = 0
    target: int = 0
    moments: Moments | None = None
    kept: list[np.ndarray] | None = None
    file: ResumeFile = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.kept or []
        self.file = ResumeFile(self.checkpoint, "estimate", self.identity)
        left = self.file.left()
        if left is not None:
            self._take_up(left)

    @property
    def samples(self) -> int:
        """Samples in the whole blocks so far."""
        return self.blocks * self.sampler.block

    def advance(self, target: int) -> tuple[Moments, np.ndarray]:
        """Compute all blocks of `target` samples; return the moments and the kept ln Z of just these.

        The last block may be shorter; it is not merged for good, so that the run can go on from here.
        """
        size = self.sampler.block
        self.target = target
        whole = target // size * size
        if self.samples > whole:
            fail(
                "checkpoint",
                f"holds {self.samples} samples already, so samples must be at least as many",
                str(target),
                "ask for more samples, or start another file",
            )
        tail: list[Block] = []
        try:
            for blocks in self._computed(self._spans(self.samples, target)):
                for moments, kept in blocks:
                    if moments.count < size:
                        tail.append((moments, kept))
                    else:
                        self._merge(moments, kept)
                self.report(self.samples + sum(m.count for m, _ in tail))
                if self.file.due():
                    self.save()
        finally:
            self.save()
        moments_now = self.moments
        for moments, _ in tail:
            moments_now = moments if moments_now is None else moments_now + moments
        assert moments_now is not None
        return moments_now, self._joined([k for _, k in tail])

    def so_far(self) -> tuple[Moments, np.ndarray] | None:
        """Return what the whole blocks give, or None before the first."""
        return None if self.moments is None else (self.moments, self._joined([]))

    def _joined(self, tail: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.empty((0, self.sampler.columns)), *(self.kept or []), *tail])

    def _merge(self, moments: Moments, kept: np.ndarray) -> None:
        self.moments = moments if self.moments is None else self.moments + moments
        self.blocks += 1
        if len(kept):
            assert self.kept is not None
            self.kept.append(kept)

    def _spans(self, first: int, stop: int) -> list[Span]:
        """Cut samples into tasks of whole blocks that take a fraction of a second."""
        size = self.sampler.block
        group = int(np.clip(_TASK_SECONDS / (size * self.sampler.seconds), 1, _MOST_BLOCKS_IN_A_TASK)) * size
        return [(s, min(s + group, stop)) for s in range(first, stop, group)]

    def _computed(self, spans: list[Span]) -> Iterator[list[Block]]:
        """Yield the results of all tasks in order."""
        if self.executor is None:
            for span in spans:
                yield compute_blocks(self.sampler, *span)
            return
        waiting: deque[tuple[Span, Any]] = deque()
        todo = iter(spans)
        broken: WorkerError | None = None
        try:
            while True:
                while (
                    broken is None and len(waiting) < _OUTSTANDING and (new := next(todo, None)) is not None
                ):
                    try:
                        waiting.append((new, self._submit(new)))
                    except WorkerError as error:
                        broken = error  # after what is under way has been collected
                if not waiting:
                    break
                span, future = waiting.popleft()
                yield self._result(span, future)
        finally:
            for _, future in waiting:
                getattr(future, "cancel", lambda: None)()
        if broken is not None:
            raise broken

    def _submit(self, span: Span) -> Any:
        assert self.executor is not None
        try:
            return self.executor.submit(compute_blocks, self.sampler, *span)
        except Exception as error:
            raise self._failed(span, error, 1) from error

    def _result(self, span: Span, future: Any) -> list[Block]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return future.result()
            except (ValueError, TypeError):
                raise  # the same samples would fail in the same way
            except Exception as error:
                if attempt == ATTEMPTS:
                    raise self._failed(span, error, attempt) from error
            future = self._submit(span)
        raise AssertionError

    def _failed(self, span: Span, error: Exception, attempts: int) -> WorkerError:
        where = f"in {self.checkpoint}" if self.checkpoint else "in the error's .result"
        reason = str(error).splitlines()[0] if str(error) else "no message"
        return WorkerError(
            f"executor: the task of samples {span[0]}..{span[1] - 1} failed {attempts} time(s)"
            f" ({type(error).__name__}: {reason}); finished samples are kept {where};"
            " start worker processes with the spawn method, check their memory, and run again"
        )

    def save(self) -> None:
        """Write the resume file, at once or not at all."""
        moments = self.moments or Moments(0, *np.empty((3, 0)))
        arrays = {
            "blocks": np.array([self.blocks, self.target, moments.count]),
            "mean": moments.mean,
            "squares": moments.squares,
            "cubes": moments.cubes,
            "products": moments.products,
        }
        if self.file.path is not None:
            self.file.save(arrays | {"kept": self._joined([])})

    def _take_up(self, arrays: dict[str, np.ndarray]) -> None:
        self.blocks, self.target, count = (int(v) for v in arrays["blocks"])
        if count:
            named = (arrays[name] for name in ("mean", "squares", "cubes", "products"))
            self.moments = Moments(count, *named)
        self.kept = [arrays["kept"]] if arrays["kept"].size else []

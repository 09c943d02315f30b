"""One process's part of a training run: stacks on their engines, advanced together, recorded, checkpointed.

What engines promise: `advance(first, stop)` trains these steps, `observe()` returns sums over the test
inputs, `state()` and `restore(state)` carry all that later steps depend on, `stop(cases)` is told which cases
have diverged, and a MemoryError leaves the state as it was.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._common.resume import ResumeFile
from peakedtheory._common.threads import number_of_threads
from peakedtheory.validation.training.cases import Case
from peakedtheory.validation.training.compiled_engine import CompiledEngine
from peakedtheory.validation.training.hessian import Curvature
from peakedtheory.validation.training.observables import Recorder
from peakedtheory.validation.training.stacks import Stack, build_stacks

_CHUNK_STEPS = 256
_CHUNK_NUMBERS = 1 << 23  # of inputs drawn at a time
_CHUNK_CASE_STEPS = 1 << 15
_STATE = ("weights", "moment0", "moment1", "average")


@dataclass(frozen=True)
class Plan:
    """All that decides the numbers of a run, resolved."""

    cases: tuple[Case, ...]
    places: tuple[int, ...]
    steps: int
    n: int
    width: int
    times: np.ndarray
    normalise: bool
    common_inputs: bool
    test_samples: int
    observe: tuple[str, ...]
    engine: str
    device: str
    dtype: str
    seed: int

    def stacks(self) -> list[Stack]:
        """Return the cases in stacks."""
        return build_stacks(
            self.cases,
            self.places,
            self.steps,
            self.n,
            seed=self.seed,
            common_inputs=self.common_inputs,
            normalise=self.normalise,
            test_samples=self.test_samples,
        )

    def identity(self) -> dict[str, Any]:
        """Return what a resume file must agree with; arrays by their digest."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["times"] = hashlib.sha256(self.times.astype(np.int64).tobytes()).hexdigest()
        values["device"] = self.device.partition(":")[0]
        values["cases"] = [_case_identity(case) for case in self.cases]
        return values


def _case_identity(case: Case) -> list[Any]:
    values = {f.name: getattr(case, f.name) for f in fields(case)}
    if case.schedule is not None:
        values["schedule"] = hashlib.sha256(case.schedule.rates.tobytes()).hexdigest()
    return [str(v) for v in values.values()]


class TrainingRun:
    """The state of a run between two steps."""

    def __init__(self, plan: Plan, checkpoint: Path | None = None, *, resume: bool = False) -> None:
        self.plan = plan
        self.file = ResumeFile(checkpoint, "training run", plan.identity())
        self.threads = number_of_threads()
        self.pool = ThreadPoolExecutor(self.threads)
        self.stacks = plan.stacks()
        self.engines = [self._engine(stack) for stack in self.stacks]
        self.records = Recorder(self.stacks, plan.times, plan.observe, plan.test_samples, plan.dtype)
        self.curvatures: dict[int, Curvature] = {}
        self.done = 0
        self.recorded = 0
        arrays = self.file.left(resume)
        if arrays is not None:
            self._take_up(arrays)

    def _engine(self, stack: Stack) -> Any:
        if self.plan.engine == "compiled":
            return CompiledEngine(stack, self.pool, self.threads)
        from peakedtheory.validation.training.torch_engine import TorchEngine  # loads torch

        return TorchEngine(stack, self.plan.device, self.plan.dtype, self.pool)

    def finish(self, report: Callable[[int], None]) -> Recorder:
        """Train and record to the end; `report` is told how many steps are done."""
        with self.pool:
            for time_index in range(self.recorded, self.plan.times.size):
                step = int(self.plan.times[time_index])
                while self.done < step:
                    self._advance(min(self._chunk(), step - self.done))
                    report(self.done)
                    if self.file.due():
                        self.save()
                self._record(time_index)
        report(self.plan.steps)
        self.save()
        return self.records

    def _chunk(self) -> int:
        """Return how many steps to train at a time: the inputs fit in memory, progress shows."""
        drawn = max(len(s.inputs.keys) * s.batch * self.plan.width for s in self.stacks)
        cases = len(self.plan.cases)
        return max(1, min(_CHUNK_STEPS, _CHUNK_NUMBERS // drawn, _CHUNK_CASE_STEPS // cases))

    def _advance(self, steps: int) -> None:
        i = 0
        while i < len(self.engines):
            if self._fits(i, lambda engine: engine.advance(self.done, self.done + steps)):
                i += 1
        self.done += steps

    def _fits(self, i: int, action: Callable[[Any], Any]) -> bool:
        """Let engine i act; if memory is short, put two engines of half its cases in its place."""
        try:
            action(self.engines[i])
            return True
        except MemoryError as error:
            reason = str(error)
        # outside the handler, whose traceback keeps the arrays of the failed attempt alive
        stack, state = self.engines[i].stack, self.engines[i].state()
        if stack.size == 1:
            raise MemoryError(
                f"device: one case does not fit into the memory of {self.plan.device} ({reason});"
                " use a smaller batch or fewer test_samples"
            )
        warnings.warn(
            f"out of memory on {self.plan.device}: a stack of {stack.size} cases is trained in two parts",
            RuntimeWarning,
            stacklevel=2,
        )
        self.engines[i] = None
        halves = []
        for which in np.array_split(np.arange(stack.size), 2):
            halves.append(self._engine(stack.select(which)))
            halves[-1].restore({name: array[which] for name, array in state.items()})
        self.engines[i : i + 1] = halves
        return False

    def _record(self, index: int) -> None:
        i = 0
        while i < len(self.engines):
            seen: dict[str, np.ndarray] = {}

            def look(engine: Any, seen: dict[str, np.ndarray] = seen) -> None:
                seen |= engine.observe()

            if not self._fits(i, look):
                continue
            engine = self.engines[i]
            state = engine.state()
            weights = state.get("average", state["weights"])
            if "hessian" in self.plan.observe:
                seen |= self._curvature(engine.stack).measure(weights)
            self.records.add(index, engine.stack, weights, seen)
            engine.stop(self.records.diverged[engine.stack.members])
            i += 1
        self.recorded = index + 1

    def _curvature(self, stack: Stack) -> Curvature:
        key = int(stack.members[0])
        if key not in self.curvatures or self.curvatures[key].stack is not stack:
            self.curvatures[key] = Curvature(stack, self.pool)
        return self.curvatures[key]

    def save(self) -> None:
        """Write the resume file."""
        if self.file.path is None:
            return
        n, m, cases = self.plan.n, self.plan.width, len(self.plan.cases)
        arrays: dict[str, np.ndarray] = {name: np.zeros((cases, n, m), self.plan.dtype) for name in _STATE}
        for engine in self.engines:
            for name, value in engine.state().items():
                arrays[name][engine.stack.members] = value
        arrays |= {f"record_{name}": value for name, value in self.records.values.items()}
        arrays |= {"diverged": self.records.diverged, "done": np.array([self.done, self.recorded])}
        self.file.save(arrays)

    def _take_up(self, arrays: dict[str, np.ndarray]) -> None:
        self.done, self.recorded = (int(v) for v in arrays["done"])
        self.records.diverged = arrays["diverged"]
        for name in self.records.values:
            self.records.values[name] = arrays[f"record_{name}"]
        for engine in self.engines:
            members = engine.stack.members
            engine.restore({name: arrays[name][members] for name in _STATE})
            engine.stop(self.records.diverged[members])


def run_part(plan: Plan, checkpoint: str | None, resume: bool) -> Recorder:
    """Train the cases of one plan; what an executor calls."""
    run = TrainingRun(plan, Path(checkpoint) if checkpoint else None, resume=resume)
    return run.finish(lambda done: None)

"""Cases as arrays: a stack holds cases that share optimizer, batch, loss and kind of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from peakedtheory.validation.training.cases import Case
from peakedtheory.validation.training.inputs import Inputs, stream_key

DIVERGED = 1e15  # a weight beyond it, or not finite, ends a case


@dataclass(frozen=True)
class Stack:
    """C cases with the same optimizer, batch, loss and kind of labels.

    Attributes
    ----------
    members : ndarray, shape (C,)
        Places of these cases in the list given to `train`.
    optimizer : str
        What records call it.
    loss : str
        As in `Case`.
    batch : int
        Examples per step.
    labels : str
        As in `Case`.
    rates : ndarray, shape (C, steps)
        Learning rates.
    mixing : ndarray, shape (C, steps), or None
        Share of each step in the average of the weights, where one is kept.
    decay, beta1, beta2 : ndarray, shape (C,)
        Weight decay and moments' memories, zero for optimizers without.
    teachers : ndarray, shape (L, n, m)
        Different weights W*, float64.
    teacher_of, stream_of, test_of : ndarray of int, shape (C,)
        Which teacher, training inputs and test inputs each case has.
    start : ndarray, shape (C, n, m)
        Student's weights at the start, float64.
    inputs, tests : Inputs
        Training and test inputs.
    test_samples : int
        Number of test inputs.
    """

    members: np.ndarray
    optimizer: str
    loss: str
    batch: int
    labels: str
    rates: np.ndarray
    mixing: np.ndarray | None
    decay: np.ndarray
    beta1: np.ndarray
    beta2: np.ndarray
    teachers: np.ndarray
    teacher_of: np.ndarray
    stream_of: np.ndarray
    test_of: np.ndarray
    start: np.ndarray
    inputs: Inputs
    tests: Inputs
    test_samples: int

    @property
    def size(self) -> int:
        """Number of cases C."""
        return int(self.members.size)

    @property
    def shape(self) -> tuple[int, int]:
        """Classes and inputs (n, m)."""
        return self.start.shape[1], self.start.shape[2]

    @property
    def averaged(self) -> bool:
        """Whether averages of the weights are kept, and observed in their place."""
        return self.mixing is not None

    @property
    def moments(self) -> int:
        """How many arrays of the weights' shape the optimizer remembers."""
        return {"adam": 2, "adamw": 2, "muon": 1}.get(self.optimizer, 0)

    def coefficients(self, first: int, stop: int) -> np.ndarray:
        """Return what the updates of steps first .. stop - 1 multiply by, (stop - first, C, 4), float32.

        Kept fraction of the weights 1 - ηω; step size η (divided by 1 - beta1^t for Adam); 1/√(1 - beta2^t),
        which corrects the root of Adam's second moment; and the share of the weights in their average.
        """
        rate = self.rates[:, first:stop].T
        step = rate
        root = np.ones_like(rate)
        if self.optimizer in ("adam", "adamw"):
            t = np.arange(first + 1, stop + 1)[:, None]
            step = rate / (1.0 - self.beta1**t)
            root = 1.0 / np.sqrt(1.0 - self.beta2**t)
        elif self.optimizer == "muon":
            n, m = self.shape
            step = rate * np.sqrt(max(1.0, n / m))
        share = np.ones_like(rate) if self.mixing is None else self.mixing[:, first:stop].T
        return np.stack([1.0 - rate * self.decay, step, root, share], axis=2).astype(np.float32)

    def select(self, which: np.ndarray) -> Stack:
        """Return the stack of some of these cases."""

        def used(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.unique(index[which], return_inverse=True)

        teachers, teacher_of = used(self.teacher_of)
        streams, stream_of = used(self.stream_of)
        tests, test_of = used(self.test_of)
        return replace(
            self,
            members=self.members[which],
            rates=self.rates[which],
            mixing=None if self.mixing is None else self.mixing[which],
            decay=self.decay[which],
            beta1=self.beta1[which],
            beta2=self.beta2[which],
            teachers=self.teachers[teachers],
            teacher_of=teacher_of,
            stream_of=stream_of,
            test_of=test_of,
            start=self.start[which],
            inputs=self.inputs.select(streams),
            tests=self.tests.select(tests),
        )


def build_stacks(
    cases: Sequence[Case],
    places: Sequence[int],
    steps: int,
    n: int,
    *,
    seed: int,
    common_inputs: bool,
    normalise: bool,
    test_samples: int,
) -> list[Stack]:
    """Return the cases in stacks, in the order in which their kinds first appear.

    `places` are the cases' numbers in the caller's whole list: without common inputs they, too, seed the
    inputs. All cases have one width.
    """
    kinds: dict[tuple, list[int]] = {}
    for i, case in enumerate(cases):
        kind = case.name, case.batch, case.loss, case.labels, case.average is not None
        kinds.setdefault(kind, []).append(i)
    stacks = []
    for (optimizer, batch, loss, labels, averaged), members in kinds.items():
        mine = [cases[i] for i in members]
        streams = [
            (seed, c.seed, *(() if common_inputs else (places[i],)))
            for i, c in zip(members, mine, strict=True)
        ]
        keys, stream_of = _distinct(streams)
        test_keys, test_of = _distinct([(seed, c.seed) for c in mine])
        teachers, teacher_of = _distinct([(c.teacher, c.beta_star, c.spectrum) for c in mine])
        examples = [mine[int(np.argmax(teacher_of == k))] for k in range(len(teachers))]
        stacks.append(
            Stack(
                members=np.array(members),
                optimizer=optimizer,
                loss=loss,
                batch=batch,
                labels=labels,
                rates=np.stack([c.clock(steps).rates for c in mine]),
                mixing=np.stack([c.average.mixing(steps) for c in mine if c.average]) if averaged else None,
                decay=np.array([c.weight_decay for c in mine]),
                beta1=np.array([getattr(c.optimizer, "beta1", 0.0) for c in mine]),
                beta2=np.array([getattr(c.optimizer, "beta2", 0.0) for c in mine]),
                teachers=np.stack([c.teacher_weights(n) for c in examples]),
                teacher_of=teacher_of,
                stream_of=stream_of,
                test_of=test_of,
                start=np.stack([c.start_weights(n) for c in mine]),
                inputs=Inputs(tuple(stream_key(*k) for k in keys), cases[0].width, normalise),
                tests=Inputs(tuple(stream_key(*k) for k in test_keys), cases[0].width, normalise),
                test_samples=test_samples,
            )
        )
    return stacks


def _distinct(values: list) -> tuple[list, np.ndarray]:
    """Return the different values in order of appearance, and the place of each value among them."""
    distinct = list(dict.fromkeys(values))
    place = {value: i for i, value in enumerate(distinct)}
    return distinct, np.array([place[value] for value in values])

"""Entropy of the labels over the test inputs, what the cross-entropy of a perfect student would be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

from peakedtheory.validation.training.inputs import TEST
from peakedtheory.validation.training.stacks import Stack

_NUMBERS = 1 << 22  # logits at a time


def label_entropies(stacks: Sequence[Stack]) -> np.ndarray:
    """Return the mean entropy of each case's labels in nats over its test inputs; hard ones have none."""
    out = np.zeros(sum(stack.size for stack in stacks))
    for stack in stacks:
        if stack.labels == "hard":
            continue
        pairs, which = np.unique(
            np.stack([stack.teacher_of, stack.test_of], axis=1), axis=0, return_inverse=True
        )
        x = stack.tests.rows(TEST, 0, 1, stack.test_samples)[:, 0].astype(float)
        found = np.array([_mean_entropy(stack.teachers[teacher], x[test]) for teacher, test in pairs])
        out[stack.members] = found[which.reshape(-1)]
    return out


def _mean_entropy(teacher: np.ndarray, x: np.ndarray) -> float:
    total, rows = 0.0, max(1, _NUMBERS // teacher.shape[0])
    for start in range(0, x.shape[0], rows):
        log_q = log_softmax(x[start : start + rows] @ teacher.T, axis=1)
        total -= float((np.exp(log_q) * log_q).sum())
    return total / x.shape[0]

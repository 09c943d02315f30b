"""Averages of token statistics over documents, with standard errors, in sums of bounded size.

Means are over real next-token positions, m = Σ_d s_d / Σ_d n_d with s_d the sum over document d and n_d its
number of positions. Tokens of one document resemble each other, so the error counts documents:
var m = D/(D-1) Σ_d (s_d - m n_d)² / N², the linearised variance of a ratio of means over clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Statistics of one token, in the order of the kernel; nats, and logits count as nats.
TOKEN_STATISTICS = {
    "loss": "cross-entropy of the next token",
    "entropy": "entropy of the prediction",
    "logit_std": "standard deviation of the logits over the vocabulary (divisor n - 1)",
    "logit_mean": "mean of the logits over the vocabulary",
    "correct_margin": "logit of the next token above the mean logit",
    "top_margin": "largest logit above the mean logit",
    "logit_range": "largest minus smallest logit",
    "top_gap": "largest minus second largest logit",
}
#: Statistics that follow from those of one token.
DERIVED_STATISTICS = {
    "accuracy": "share of tokens whose largest logit is the correct one",
    "peaked_fraction": "share of tokens whose entropy lies below S(β = c0) of i.i.d. Gaussian logits",
    "gap_density": "density at zero of the top-two gap in units of the token's logit_std",
    "gap_density_narrow": "the same, estimated with half the bandwidth",
}
STATISTICS = TOKEN_STATISTICS | DERIVED_STATISTICS
#: Bandwidth of the gap density in standard deviations: where the gap has the exponential law of rate c0 ≈ 4
#: of i.i.d. Gaussian logits, the estimate is 1.3 % low.
GAP_BANDWIDTH = 0.1
HISTOGRAM_BINS = 64

_ENTROPY, _STD, _CORRECT, _TOP, _GAP = (
    list(TOKEN_STATISTICS).index(name)
    for name in ("entropy", "logit_std", "correct_margin", "top_margin", "top_gap")
)


def gap_density_weights(gap: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return numbers whose mean estimates the density of the gap at zero.

    The weight is K(Δ/h)/h with K(u) = 4 - 6u on [0, 1): the uniform kernel made linear at the boundary, so
    that ∫K = 1 and ∫uK = 0. The bias is -(h²/12) p''(0), the variance of the mean 4 p(0)/(h N) for N
    independent gaps. In units of the standard deviation i.i.d. Gaussian logits have p(0) = c0, and
    c2 = (π²/12) p(0) for any continuous logits.
    """
    return np.where(gap < bandwidth, (4.0 - 6.0 * gap / bandwidth) / bandwidth, 0.0)


@dataclass
class Totals:
    """Sums over tokens and documents, in float64, whose size is independent of the number of documents.

    Parameters
    ----------
    vocabulary : int
        Number of logits n of each token.
    peaked_entropy : float
        S(β = c0) of n i.i.d. Gaussian logits in nats.
    """

    vocabulary: int
    peaked_entropy: float
    tokens: int = 0
    documents: int = 0
    not_finite: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(len(STATISTICS)))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(len(STATISTICS)))
    products: np.ndarray = field(default_factory=lambda: np.zeros(len(STATISTICS)))
    count_squares: float = 0.0
    histogram: np.ndarray = field(default_factory=lambda: np.zeros(HISTOGRAM_BINS, dtype=np.int64))

    def add(self, values: np.ndarray, document: np.ndarray) -> None:
        """Add whole documents: rows of `statistics.logit_statistics` and the document of each, ascending."""
        finite = np.isfinite(values[:, 0])
        self.not_finite += int(np.count_nonzero(~finite))
        values, document = values[finite], document[finite]
        if not document.size:
            return
        entropy, std = values[:, _ENTROPY], values[:, _STD]
        # equal logits have no scale: their gap counts as zero
        gap = np.divide(values[:, _GAP], std, out=np.zeros_like(std), where=std > 0)
        derived = [
            (values[:, _CORRECT] >= values[:, _TOP]).astype(float),
            (entropy < self.peaked_entropy).astype(float),
            gap_density_weights(gap, GAP_BANDWIDTH),
            gap_density_weights(gap, 0.5 * GAP_BANDWIDTH),
        ]
        table = np.column_stack([values, *derived])
        starts = np.flatnonzero(np.diff(document, prepend=document[0] - 1))
        counts = np.diff(np.append(starts, document.size)).astype(float)
        sums = np.add.reduceat(table, starts, axis=0)
        self.tokens += document.size
        self.documents += starts.size
        self.sums += sums.sum(axis=0)
        self.squares += (sums**2).sum(axis=0)
        self.products += (sums * counts[:, None]).sum(axis=0)
        self.count_squares += float((counts**2).sum())
        self.histogram += np.histogram(entropy, HISTOGRAM_BINS, (0.0, np.log(self.vocabulary) * (1 + 1e-6)))[
            0
        ]

    @property
    def means(self) -> dict[str, float]:
        """Mean of every statistic over tokens."""
        return dict(zip(STATISTICS, (self.sums / max(self.tokens, 1)).tolist(), strict=True))

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors over documents; infinite where a single document leaves them unknown."""
        if self.documents < 2:
            return dict.fromkeys(STATISTICS, np.inf)
        mean = self.sums / self.tokens
        spread = self.squares - 2.0 * mean * self.products + mean**2 * self.count_squares
        d = self.documents
        errors = np.sqrt(np.maximum(spread, 0.0) * d / (d - 1)) / self.tokens
        return dict(zip(STATISTICS, errors.tolist(), strict=True))

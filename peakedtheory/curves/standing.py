"""Where a training run stands: its β against c0 and β*, and the exponents that the theory allows it.

β is read from the logits' standard deviation, from the entropy of the predictions, or from the excess loss;
β* from the entropy of the labels (Liu et al. 2026, Sec. 4). Exponents are those of the aligned flow
(docs/regimes.md, Eq. 9). An update of β^q times the gradient changes κ/(κ + 2) into κ/(κ + 2 - q) (Lee et al.
2026), so that adaptive optimizers, 0 <= q <= 1, may reach (κ + 2)/(κ + 1) times the exponent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, real_number, shown
from peakedtheory._common.results import describe
from peakedtheory.curves.curve import LossCurve
from peakedtheory.dynamics.aligned_path import AlignedPath, aligned_path
from peakedtheory.dynamics.gap_law import predict_exponent
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, Optimizer, SignGD
from peakedtheory.dynamics.regimes import Window, regime
from peakedtheory.energies.base import Energies
from peakedtheory.energies.reading import as_energies
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.exact.thermodynamics import thermodynamics

#: Largest power q of β by which the update may exceed the gradient.
_POWERS: dict[type, float] = {GradientFlow: 0.0, SGD: 0.0, Adam: 1.0, SignGD: 1.0}
#: Beyond this fraction of β* the aligned flow is exponential and has no exponent worth stating.
_LAST = 0.98


@dataclass(frozen=True, repr=False)
class CurveRegime:
    """What the theory says about one run.

    Attributes
    ----------
    name : str
        Regime at the run's last record, as `regime` calls it; of the whole run where β is unknown.
    beta : tuple of float, or None
        β at the first and last record; None where nothing tells.
    onset, beta_star : float
        c0, where low temperature begins, and the teacher's β*; infinite where the labels' entropy is unknown.
    exponents : tuple of float
        Smallest and largest -d ln(L - H)/d ln τ of an aligned student between these β; for `adam` the
        largest is raised as in the power-law regime, which is a bound there and a guess elsewhere.
    asymptotic : tuple of float
        The same deep in the power-law regime, c0 << β << β*.
    window : Window or None
        Where a power law of plain gradient descent holds along the run to β*.
    sources : dict
        What `beta` and `beta_star` were read from.
    explanation : str
        The same in a sentence.
    """

    name: str
    beta: tuple[float, float] | None
    onset: float
    beta_star: float
    exponents: tuple[float, float]
    asymptotic: tuple[float, float]
    window: Window | None
    sources: dict[str, str]
    explanation: str
    n: float = field(repr=False)
    optimizer: Optimizer = field(repr=False)

    def allows(self, exponent: float, error: float = 0.0) -> bool:
        """Return whether an exponent lies within `error` of the range that the theory allows."""
        return self.exponents[0] - error <= exponent <= self.exponents[1] + error

    def __repr__(self) -> str:
        rows: dict[str, Any] = {"c0": self.onset, "beta_star": self.beta_star}
        if self.beta is not None:
            rows["beta"] = f"{self.beta[0]:.4g} to {self.beta[1]:.4g}"
        rows["exponents"] = f"{self.exponents[0]:.3f} to {self.exponents[1]:.3f}"
        return describe(f"CurveRegime of n={self.n:g}: {self.name}", rows) + f"\n  {self.explanation}"


def curve_regime(
    curve: LossCurve,
    n: float,
    *,
    entropy: float | None = None,
    optimizer: Optimizer | None = None,
    energies: Any = None,
) -> CurveRegime:
    """Return where a run stands and which exponents the theory allows on it.

    Parameters
    ----------
    curve : LossCurve
        Its `logit_std` (over the n classes), else its `entropy` (of the predictions), else its loss above
        `entropy` tells β.
    n : int
        Number of classes n.
    entropy : float, optional
        Entropy H of the labels in nats, for example the L∞ of a fit; 0 for hard labels. Without it β* is
        taken as infinite.
    optimizer : GradientFlow, SGD, Adam or SignGD, optional
        How the run was trained, `SGD()` by default; only its kind counts. SGD updates by the gradient itself,
        Adam and sign descent by anything from it to β times it.
    energies : optional
        Distribution of one energy; standard normal by default.

    Returns
    -------
    CurveRegime

    Raises
    ------
    ValueError
        If `n` is below 2, `entropy` outside [0, ln n), or the optimizer unknown.

    Notes
    -----
    Logits are compared with n i.i.d. energies. Those of a network are neither independent nor Gaussian: β
    from the standard deviation and β from the entropy differ, and the difference says how far to trust
    either.

    Examples
    --------
    >>> curve = LossCurve([100, 200, 400], [4.0, 3.5, 3.2], logit_std=[3.0, 4.0, 4.8])
    >>> answer = curve_regime(curve, 32000, entropy=1.69)
    >>> answer.name
    'end'
    >>> answer.allows(1 / 3)
    False
    """
    if not isinstance(curve, LossCurve):
        fail("curve", "must be a LossCurve", shown(curve), "build one with LossCurve")
    entropy = None if entropy is None else real_number("entropy", entropy)
    optimizer = SGD() if optimizer is None else optimizer
    if type(optimizer) not in _POWERS:
        rule = f"must be {', '.join(kind.__name__ for kind in _POWERS)}"
        fail("optimizer", rule, repr(optimizer), "build the closest one, for example Adam()")
    distribution = as_energies(energies)
    soft = entropy is not None and entropy != 0
    whole = regime(None if soft else math.inf, n, distribution, entropy=entropy if soft else None)
    path = aligned_path(interpolant(float(n), distribution, whole.beta_star), whole.beta_star)
    sources = {"beta_star": "unknown, taken as infinite" if entropy is None else "entropy of the labels"}
    beta, sources["beta"] = _temperatures(curve, float(n), distribution, entropy, path)
    if beta is None:
        last = 0.5 * whole.beta_star if math.isfinite(whole.beta_star) else float(path.beta[-1])
        span = (min(whole.onset, last), last)
        name = whole.name
    else:
        span = beta
        name = regime(whole.beta_star, n, distribution, beta=beta[1]).name
    deep = predict_exponent(n, distribution)
    kappa = deep.gap_exponent
    gain = 1.0 if math.isinf(kappa) else (kappa + 2.0) / (kappa + 2.0 - _POWERS[type(optimizer)])
    exponents = _exponents(path, span, gain)
    return CurveRegime(
        name=name,
        beta=beta,
        onset=whole.onset,
        beta_star=whole.beta_star,
        exponents=exponents,
        asymptotic=(deep.exponent, deep.exponent * gain),
        window=whole.window,
        sources=sources,
        explanation=_explain(beta, whole.onset, whole.beta_star, entropy == 0, exponents, whole.window),
        n=float(n),
        optimizer=optimizer,
    )


def _temperatures(
    curve: LossCurve, n: float, energies: Energies, entropy: float | None, path: AlignedPath
) -> tuple[tuple[float, float] | None, str]:
    """Return β at the ends of the curve, and what it was read from."""
    if curve.logit_std is not None:
        first, last = _ends(curve.logit_std)
        if min(first, last) <= 0:
            fail("logit_std", "must be > 0", f"{min(first, last):g}", "drop the first records")
        one = math.sqrt(float(thermodynamics(0.0, n, energies).energy_variance))
        return (first / one, last / one), "standard deviation of the logits"
    if curve.entropy is not None:
        first, last = np.clip(_ends(curve.entropy), 0.0, (1.0 - 1e-6) * math.log(n))
        low, high = np.asarray(match_entropy(np.array([first, last]), n, energies).beta_star)
        return (float(low), float(high)), "entropy of the predictions"
    if entropy is None:
        return None, "nothing"
    # An aligned student of loss L - H; ln L falls monotonically with β along the path.
    excess = np.array(_ends(curve.loss)) - entropy
    log_excess = np.log(np.maximum(excess, path.loss[-1]))
    first, last = np.interp(-log_excess, -np.log(path.loss), path.beta)
    return (float(first), float(last)), "loss above the entropy of the labels, for an aligned student"


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Medians of the first and the last twentieth of the records."""
    count = max(values.size // 20, 1)
    return float(np.median(values[:count])), float(np.median(values[-count:]))


def _exponents(path: AlignedPath, span: tuple[float, float], gain: float) -> tuple[float, float]:
    """Return the range of local exponents over a stretch of β, its upper end times `gain`."""
    top = _LAST * path.beta[-1]
    low, high = (min(max(beta, path.beta[0]), top) for beta in sorted(span))
    at = np.concatenate([[low], path.beta[(path.beta > low) & (path.beta < high)], [high]])
    local = np.interp(at, path.beta, path.exponent)
    return float(local.min()), float(local.max()) * gain


def _explain(
    beta: tuple[float, float] | None,
    onset: float,
    star: float,
    hard: bool,
    exponents: tuple[float, float],
    window: Window | None,
) -> str:
    teacher = f"β* = {star:.3g}" if math.isfinite(star) else f"β* {'infinite' if hard else 'unknown'}"
    low, high = exponents
    spread = f"exponents {low:.2f} to {high:.2f}" if high - low > 0.005 else f"exponent {low:.2f}"
    if beta is None:
        where = f"β is unknown (c0 = {onset:.3g}, {teacher})"
    else:
        where = f"β goes from {beta[0]:.3g} to {beta[1]:.3g} (c0 = {onset:.3g}, {teacher})"
    if window is None:
        room = "too little room between c0 and β* for a power law"
    elif beta is not None and beta[1] < window.beta[0]:
        room = f"the power law begins at β = {window.beta[0]:.3g}, beyond the run"
    else:
        end = f"to {window.beta[1]:.3g}" if math.isfinite(window.beta[1]) else "on"
        room = f"the power law holds from β = {window.beta[0]:.3g} {end}"
    return f"{where}; {room}; the theory allows {spread} here"

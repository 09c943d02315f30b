"""How well several loss curves fall on one, against dynamic time or against steps.

At equal loss the curves have reached x_i(L), x = τ or steps. The number is the spread of ln x_i at equal
loss. It has no unit; a factor in x leaves it alone, and so does any monotone change of the loss, for example
an offset L∞.
Liu et al. 2026 (Fig. 5) show such collapses; the measure is this package's (docs/curves_howto.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from peakedtheory._common.checks import fail, generator_of, shown
from peakedtheory._common.drawing import draw
from peakedtheory.curves.curve import LossCurve, as_curves
from peakedtheory.curves.tracks import Against, Track

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_LEVELS = 64
_RESAMPLES = 200


@dataclass(frozen=True, repr=False)
class Collapse:
    """Quality of the collapse of several curves against one abscissa x.

    Attributes
    ----------
    against : {"tau", "step"}
        What x is.
    spread : float
        Standard deviation of ln x between the curves at equal loss, root mean square over the loss levels,
        with the part that noise makes taken off. 0 is perfect; curves agree within a factor exp(spread).
    standard_error : float
        Of `spread`, from resampled noise. The choice of curves is not in it.
    noise : float
        The spread that the noise of the losses alone makes.
    levels : ndarray, shape (levels,)
        Losses compared, in nats.
    position : ndarray, shape (curves, levels)
        ln x of each curve at each level; NaN where it does not reach the level.
    names : tuple of str
        Names of the curves.
    """

    against: Against
    spread: float
    standard_error: float
    noise: float
    levels: np.ndarray = field(repr=False)
    position: np.ndarray = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    @property
    def factor(self) -> float:
        """The factor in x within which the curves typically agree at equal loss, exp(spread)."""
        return math.exp(self.spread)

    @property
    def deviation(self) -> np.ndarray:
        """Each curve's ln x minus the mean of all, shape (curves, levels); NaN unless all reach the level."""
        return self.position - self.position.mean(axis=0)

    def __repr__(self) -> str:
        return (
            f"Collapse of {len(self.names)} curves against {_SYMBOL[self.against]}: spread of ln x"
            f" {self.spread:.4f} ± {self.standard_error:.4f}, a factor {self.factor:.3f}"
            f" (noise alone makes {self.noise:.4f})"
        )

    def plot(self, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """Draw each curve's position against the mean of all, over the loss."""
        return draw(self, axes)


@dataclass(frozen=True, repr=False)
class CollapseComparison:
    """Dynamic time against steps, on the same records and loss levels.

    Attributes
    ----------
    tau, step : Collapse
        Each abscissa for itself.
    difference, standard_error : float
        `tau.spread - step.spread`, negative where τ collapses better; its error from shared resamples.
    """

    tau: Collapse
    step: Collapse
    difference: float
    standard_error: float

    @property
    def better(self) -> Against | None:
        """The better abscissa; None where they differ by less than two standard errors."""
        if abs(self.difference) <= 2.0 * self.standard_error:
            return None
        return "tau" if self.difference < 0 else "step"

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        tau, step = self.tau.spread, self.step.spread
        numbers = f"spread of ln x at equal loss: {tau:.3f} against τ, {step:.3f} against steps"
        if self.better is None:
            return f"τ and steps collapse the curves equally well within the noise ({numbers})"
        other: Against = "step" if self.better == "tau" else "tau"
        verb = "collapses" if self.better == "tau" else "collapse"
        return f"{_SYMBOL[self.better]} {verb} the curves better than {_SYMBOL[other]} ({numbers})"

    def __repr__(self) -> str:
        return f"{self.tau!r}\n{self.step!r}\n{self.verdict}"

    def plot(self, curves: Sequence[LossCurve]) -> matplotlib.figure.Figure:
        """Draw the compared `curves` against τ and against steps, and below how far they are apart."""
        return draw(self, curves)


_SYMBOL = {"tau": "τ", "step": "steps"}


def measure_collapse(
    curves: Sequence[LossCurve], against: Against = "tau", *, rng: int | np.random.Generator = 0
) -> Collapse:
    """Return how closely the curves fall on one against τ or against steps.

    Parameters
    ----------
    curves : sequence of LossCurve
        At least two, whose losses overlap; `LossCurve.window` leaves out a stretch, for example the warmup.
    against : {"tau", "step"}
        The abscissa x.
    rng : int or numpy.random.Generator
        Seed of the resamples behind the standard error.

    Returns
    -------
    Collapse

    Raises
    ------
    ValueError
        If there are fewer than two curves, too few records, no common loss, or no rates for τ.

    Notes
    -----
    Records are averaged in up to 200 bins of equal width in ln(step), and ln L is smoothed by a cubic spline
    of up to 12 pieces. ln x_i(L) is where the smoothed curve first comes down to L, at 64 losses that two
    curves or more reach. The variance is half the mean square difference of ln x over all pairs of curves and
    the losses that both reach. Noise is taken to be Gaussian with the local size of the residuals and one
    correlation from each bin to the next, corrected for what the spline has absorbed.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(1.0, 401.0)
    >>> runs = [LossCurve(t, (eta * t) ** -0.5, [eta] * 400) for eta in (0.1, 0.2)]
    >>> round(measure_collapse(runs, "step").factor, 3)   # standard deviation of ln 1 and ln 2
    1.633
    >>> round(measure_collapse(runs).spread, 3)
    0.0
    """
    if not isinstance(against, str) or against not in ("tau", "step"):
        fail("against", "must be tau or step", shown(against), "choose one")
    return _measure(curves, (against,), rng)[0][0]


def compare_collapse(
    curves: Sequence[LossCurve], *, rng: int | np.random.Generator = 0
) -> CollapseComparison:
    """Return the collapse against τ and against steps, and which is better.

    Parameters
    ----------
    curves, rng
        As for `measure_collapse`.

    Returns
    -------
    CollapseComparison

    Raises
    ------
    ValueError
        As `measure_collapse`.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(1.0, 401.0)
    >>> compare_collapse([LossCurve(t, (eta * t) ** -0.5, [eta] * 400) for eta in (0.1, 0.2)]).better
    'tau'
    """
    (tau, step), squares = _measure(curves, ("tau", "step"), rng)
    error = float(np.nanstd(squares[0] - squares[1], ddof=1))  # of a² - b² = (a - b)(a + b)
    scale = max(tau.spread + step.spread, math.sqrt(error))
    return CollapseComparison(tau, step, tau.spread - step.spread, error / scale if scale else 0.0)


def _measure(
    curves: Sequence[LossCurve], abscissas: tuple[Against, ...], rng: int | np.random.Generator
) -> tuple[list[Collapse], list[np.ndarray]]:
    """Return the collapse against each abscissa, and the resampled squared spreads behind its error."""
    runs = as_curves(curves)
    if len(runs) < 2:
        fail("curves", "must be at least two", f"{len(runs)}", "a collapse compares runs")
    tracks = [Track(run, "tau" in abscissas) for run in runs]
    levels = _common_levels(tracks)
    reached = [track.crossing(track.smooth, levels) for track in tracks]
    if not (np.sum([~np.isnan(steps) for steps in reached], axis=0) >= 2).any():
        _nothing_in_common(tracks)
    generator = generator_of("rng", rng)
    resampled = [
        np.array([track.crossing(copy, levels) for copy in track.resample(generator, _RESAMPLES)])
        for track in tracks
    ]
    results, squares = [], []
    for against in abscissas:
        position = _positions(tracks, reached, against)
        copies = _positions(tracks, resampled, against).swapaxes(0, 1)
        noise = _pair_mean(_noise(copies)[:, None] + _noise(copies)[None, :], position)
        square = _variance(position) - noise
        drawn = np.array([_variance(copy) for copy in copies]) - 2.0 * noise
        if np.count_nonzero(np.isnan(drawn)) > _RESAMPLES // 2:
            _nothing_in_common(tracks)
        spread, error = _root(square, float(np.nanstd(drawn, ddof=1)))
        names = tuple(track.name for track in tracks)
        results.append(
            Collapse(
                against=against,
                spread=spread,
                standard_error=error,
                noise=math.sqrt(noise),
                levels=np.exp(levels),
                position=position,
                names=names,
            )
        )
        squares.append(drawn)
    return results, squares


def _root(square: float, error: float) -> tuple[float, float]:
    """Return the root of an estimated square, and half the wider side of its interval of two errors."""
    root = math.sqrt(max(square, 0.0))
    above = math.sqrt(max(square, 0.0) + 2.0 * error) - root
    below = root - math.sqrt(max(square - 2.0 * error, 0.0))
    return root, 0.5 * max(above, below)


def _common_levels(tracks: list[Track]) -> np.ndarray:
    """Return values of ln L that at least two curves reach, evenly spread over them in ln(step)."""
    falling = [np.minimum.accumulate(track.smooth) for track in tracks]
    pool = np.concatenate(falling)
    inside = np.sum([(pool <= one[0]) & (pool >= one[-1]) for one in falling], axis=0)
    pool = np.unique(pool[inside >= 2])
    if pool.size < 2:
        _nothing_in_common(tracks)
    return np.quantile(pool, (np.arange(_LEVELS) + 0.5) / _LEVELS)


def _nothing_in_common(tracks: list[Track]) -> NoReturn:
    ends = [(track.smooth.min(), track.smooth.max()) for track in tracks[:6]]
    ranges = ", ".join(f"{math.exp(low):.4g} to {math.exp(high):.4g}" for low, high in ends)
    fail("curves", "must reach common losses, beyond the noise", ranges, "compare runs of the same task")


def _positions(tracks: list[Track], steps: list[np.ndarray], against: Against) -> np.ndarray:
    return np.array([track.position(at, against) for track, at in zip(tracks, steps, strict=True)])


def _variance(position: np.ndarray) -> float:
    """Half the mean square difference of ln x over all pairs of curves and the levels both reach."""
    return _pair_mean((position[:, None] - position[None, :]) ** 2, position)


def _noise(copies: np.ndarray) -> np.ndarray:
    """Variance of ln x between the resamples, shape (curves, levels); 0 where fewer than two are known."""
    there = ~np.isnan(copies)
    count = there.sum(axis=0)
    mean = np.where(there, copies, 0.0).sum(axis=0) / np.maximum(count, 1)
    return (np.where(there, copies - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count - 1, 1)


def _pair_mean(values: np.ndarray, position: np.ndarray) -> float:
    """Half the mean over pairs of curves of the mean over the levels that both reach."""
    there = ~np.isnan(position)
    both = there[:, None] & there[None, :]
    first, second = np.triu_indices(position.shape[0], 1)
    count = both.sum(axis=2)[first, second]
    total = np.where(both, values, 0.0).sum(axis=2)[first, second]
    together = count > 0
    return 0.5 * float((total[together] / count[together]).mean()) if together.any() else math.nan

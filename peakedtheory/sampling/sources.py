"""Sources of energies: which sampler serves which description, and those that fill an array first.

A Python sampler, a compiled function of a uniform number, an array of values, or given rows of logits fill
x = -ε sample by sample; everything else is drawn inside the kernels.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.threads import share
from peakedtheory.energies.atoms import Discrete
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Atoms
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.sampling.lowest_atoms import LowestAtomsSampler, LowestValuesSampler
from peakedtheory.sampling.lowest_energies import OrderStatisticsSampler, ScrambledSampler
from peakedtheory.sampling.moments import Layout
from peakedtheory.sampling.normal_tables import normal_table
from peakedtheory.sampling.samplers import (
    AtomsSampler,
    BetaGrid,
    EnergySampler,
    GivenSampler,
    PlainSampler,
    Seed,
)
from peakedtheory.sampling.tails import OrderStatisticsTables, order_statistics_tables

METHODS = ("auto", "plain", "order-statistics", "qmc")
#: From here on sampling the lowest energies alone is the cheaper way.
_MANY = 64
#: From here on nearly degenerate levels, or values far out in a tail of this index or less, are too rare for
#: plain samples.
_COLD, _HEAVY = 50.0, 4.0
_LARGEST_ROW = 1 << 27


@dataclass(frozen=True)
class FromPython:
    """Energies from a Python sampler (rng, size) -> energies, called once for each block."""

    sampler: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
    location: float = 0.0
    scale: float = 1.0

    def __call__(self, owner: GivenSampler, first: int, x: np.ndarray) -> None:
        values = self.sampler(owner.seed.block(first // owner.block), x.shape)
        energies = np.asarray(values)
        if energies.shape != x.shape:
            fail(
                "energies",
                f"the sampler must return an array of shape {x.shape}",
                f"shape {energies.shape}",
                "draw `size` energies, one sample in each row",
            )
        if energies.dtype.kind not in "biuf":
            fail(
                "energies",
                "the sampler must return real numbers",
                f"dtype {energies.dtype}",
                "convert them to float",
            )
        if not np.isfinite(energies).all():
            row, column = np.argwhere(~np.isfinite(energies))[0]
            fail(
                "energies",
                "the sampler must return finite energies",
                f"{energies[row, column]} in sample {first + row}",
                "check the sampler; forbidden states need a large finite energy",
            )
        np.divide(energies - self.location, -self.scale, out=x, casting="same_kind")


@dataclass(frozen=True)
class FromArray:
    """Energies drawn from an array of equally likely values."""

    values: np.ndarray

    def __call__(self, owner: GivenSampler, first: int, x: np.ndarray) -> None:
        from peakedtheory.kernels.sources import resample  # loads Numba

        key, stream = owner.seed.counter_key

        def fill(start: int, stop: int) -> None:
            resample(key, stream, np.uint64(first), start, stop, self.values, x)

        share(len(x), 1, x.size * 1e-8, fill)


@dataclass(frozen=True)
class FromFunction:
    """Energies ε = energy(u), u uniform on (0, 1), from a function compiled with Numba."""

    energy: Any

    def __call__(self, owner: GivenSampler, first: int, x: np.ndarray) -> None:
        key, stream = owner.seed.counter_key
        compiled = _compiled(self.energy)

        def fill(start: int, stop: int) -> None:
            compiled(key, stream, np.uint64(first), start, stop, x)

        share(len(x), 1, x.size * 1e-8, fill)
        if not np.isfinite(x).all():
            row = int(np.argwhere(~np.isfinite(x))[0, 0])
            fail(
                "energies",
                "the compiled function must return finite energies for every u in (0, 1)",
                f"a value that is not, in sample {first + row}",
                "check it near both ends",
            )


_fills: dict[int, tuple[Any, Callable]] = {}


def _compiled(energy: Any) -> Callable:
    from peakedtheory.kernels.sources import make_sampler  # loads Numba

    if id(energy) not in _fills:
        _fills[id(energy)] = (energy, make_sampler(energy))
    return _fills[id(energy)][1]


@dataclass(frozen=True)
class FromRows:
    """Given logits, one sample in each row; an array, or the path of a .npy file that stays on disk."""

    logits: np.ndarray | str

    def __call__(self, owner: GivenSampler, first: int, x: np.ndarray) -> None:
        rows = np.load(self.logits, mmap_mode="r") if isinstance(self.logits, str) else self.logits
        block = np.asarray(rows[first : first + x.shape[0]])
        if np.isnan(block).any() or np.isposinf(block).any() or np.isneginf(block).all(axis=1).any():
            bad = np.isnan(block) | np.isposinf(block) | np.isneginf(block).all(axis=1, keepdims=True)
            fail(
                "logits",
                "must be finite, or -inf for classes that are ruled out",
                f"{block[bad][0]} in row {first + int(np.argwhere(bad)[0, 0])}",
                "drop or mask these rows",
            )
        x[:] = block


@dataclass(frozen=True)
class Request:
    """What a sampler must deliver, apart from the energies.

    Attributes
    ----------
    layout, main : Layout and positions of the caller's own β in it
    n : int
    seed : Seed
    method, precision : str
    joint, keep : bool
        Whether joint moments, and ln Z of each sample, are wanted.
    points : int
        Points of each scrambling.
    """

    layout: Layout
    main: np.ndarray
    n: int
    seed: Seed
    method: str
    precision: str
    joint: bool
    keep: bool
    points: int = 4096

    @property
    def common(self) -> dict[str, Any]:
        """Arguments that every sampler takes."""
        return {
            "layout": self.layout,
            "n": self.n,
            "seed": self.seed,
            "joint": self.joint,
            "keep": self.keep,
        }

    @property
    def grid(self) -> BetaGrid:
        """The inverse temperatures as the kernels take them."""
        return BetaGrid.of(self.layout.beta, self.main)

    def table(self) -> np.ndarray:
        """Empty table, which fixes the precision."""
        return np.empty((0, 6), np.float32 if self.precision == "single" else np.float64)


def is_callable_source(energies: Any) -> bool:
    """Whether `energies` is a function and not a distribution."""
    return callable(energies) and not isinstance(energies, Energies) and not _is_distribution(energies)


def _is_distribution(energies: Any) -> bool:
    return hasattr(energies, "ppf") or hasattr(energies, "icdf") or hasattr(energies, "dist")


def from_function(request: Request, function: Any) -> tuple[EnergySampler, str]:
    """Return the sampler of a Python or Numba function, and what identifies it."""
    if request.method not in ("auto", "plain"):
        fail(
            "method",
            "must be plain for energies from a function",
            request.method,
            "pass a distribution, or method='plain'",
        )
    _require_memory(request.n)
    fill = FromFunction(function) if hasattr(function, "py_func") else FromPython(function)
    inner = getattr(function, "py_func", function)
    code = getattr(inner, "__code__", None)
    name = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(function).__name__)}"
    return _filled(request, fill, 10.0), name + (":" + digest(code.co_code) if code else "")


def _filled(request: Request, fill: Callable, nanoseconds: float) -> GivenSampler:
    return GivenSampler(**_arguments(request, fill, nanoseconds))


def _arguments(request: Request, fill: Callable, nanoseconds: float) -> dict[str, Any]:
    more = {"grid": request.grid, "table": request.table(), "fill": fill, "nanoseconds": nanoseconds}
    return request.common | more


def _nothing(owner: GivenSampler, first: int, x: np.ndarray) -> None:
    """Fill nothing: `LowestValuesSampler` draws by itself."""


def from_rows(request: Request, logits: np.ndarray | str) -> EnergySampler:
    """Return the sampler that reads given logits."""
    return _filled(request, FromRows(logits), 2.0)


def from_distribution(request: Request, energies: Energies) -> tuple[EnergySampler, str]:
    """Return the sampler of a distribution's standardised core, and what identifies it."""
    core = energies.core
    method = request.method
    if isinstance(core, Discrete) and method != "qmc":
        return _discrete(request, core)
    smooth = _is_smooth(core)
    if method in ("order-statistics", "qmc") and not smooth:
        fail(
            "method",
            f"{method} needs independent energies with a density",
            f"{method} for {core.name[:80]}",
            "use method='plain'",
        )
    fitting = smooth and not request.keep and (request.n > _MANY or _rare_decide(request, core))
    if method in ("order-statistics", "qmc") or (method == "auto" and fitting):
        try:
            return _order_statistics(request, core)
        except ValueError:
            if method != "auto":
                raise
    return _plain(request, core)


def _rare_decide(request: Request, core: Energies) -> bool:
    """Whether averages hang on few samples: far out in heavy tails, or nearly degenerate in the cold."""
    cold = bool(request.layout.beta[-1] > _COLD)
    return cold or any(low <= _HEAVY or request.n * high <= _HEAVY for low, high in core.tail_indices)


def _discrete(request: Request, core: Discrete) -> tuple[EnergySampler, str]:
    """Return the sampler of finitely many energies, the lowest first unless plain samples are wanted."""
    plain = request.method == "plain" or request.keep
    if core.values.size <= max(64, 4 * request.n):
        kind = AtomsSampler if plain else LowestAtomsSampler
        atoms = kind(**request.common, x=-core.values, weights=core.weights)
        return atoms, digest(core.values, core.weights)
    _require_memory(request.n)
    if np.ptp(core.weights) > 0.0:
        return _filled(request, FromPython(core.sample), 60.0), core.name
    if plain:
        return _filled(request, FromArray(core.values), 5.0), digest(core.values)
    arguments = _arguments(request, _nothing, 15.0)
    return LowestValuesSampler(**arguments, values=core.values), digest(core.values)


def _is_smooth(core: Energies) -> bool:
    if not core.independent:
        return False
    return core is STANDARD_NORMAL or not any(isinstance(part, Atoms) for _, part in core.components)


@functools.lru_cache(maxsize=16)
def _tables(beta: tuple[float, ...], n: int, core: Energies) -> OrderStatisticsTables:
    with np.errstate(all="ignore"):
        return order_statistics_tables(np.array(beta), n, core)


def _order_statistics(request: Request, core: Energies) -> tuple[EnergySampler, str]:
    tables = _tables(tuple(request.layout.beta.tolist()), request.n, core)
    arguments = request.common | {"grid": request.grid, "tables": tables}
    identity = digest(tables.quantile.coefficients, tables.rest.polynomials)
    if request.method == "qmc":
        return ScrambledSampler(**arguments, points=request.points), identity
    return OrderStatisticsSampler(**arguments), identity


def _plain(request: Request, core: Energies) -> tuple[EnergySampler, str]:
    if core.unscaled is STANDARD_NORMAL:
        if request.n >= (1 << 33 if request.precision == "double" else 1 << 34):
            fail(
                "n", "must be below 2^33 for plain sampling", str(request.n), "use method='order-statistics'"
            )
        return PlainSampler(
            **request.common, grid=request.grid, table=request.table(), width=core.width
        ), f"width {core.width}"
    if request.precision == "single":
        found = normal_table(core.ppf, getattr(core, "isf", lambda q: core.ppf(1.0 - q)))
        if found is not None:
            table, per_unit = found
            sampler = PlainSampler(**request.common, grid=request.grid, table=table, per_unit=per_unit)
            return sampler, digest(table)
    _require_memory(request.n)
    return _filled(request, FromPython(core.sample), 60.0), core.name


def _require_memory(n: int) -> None:
    if n > _LARGEST_ROW:
        fail(
            "n",
            f"must be at most {_LARGEST_ROW} where a whole sample is kept in memory",
            str(n),
            "use a smooth distribution and method='order-statistics'",
        )


def has_heavy_lower_tail(energies: Energies) -> bool:
    """Whether the lowest energy has an infinite variance, so that no standard error is honest."""
    return any(low <= 2.0 + 1e-6 for low, _ in energies.tail_indices)


def digest(*parts: Any) -> str:
    """Return a fingerprint of arrays or bytes."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return total.hexdigest()[:16]

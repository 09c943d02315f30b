"""Arguments of Monte Carlo estimates, checked and resolved: seeds, grids of β and β*, energies, logits."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._common.archives import require_archive
from peakedtheory._common.checks import fail, inverse_temperature, real_array, shown
from peakedtheory._common.texts import did_you_mean
from peakedtheory._common.types import RNG, Reals
from peakedtheory.energies.base import Energies
from peakedtheory.sampling.moments import Layout
from peakedtheory.sampling.samplers import Seed
from peakedtheory.sampling.sources import has_heavy_lower_tail


def resolve_seed(rng: RNG) -> Seed:
    """Return the seed that `rng` stands for; a generator moves on by drawing it."""
    if rng is None:
        sequence = np.random.SeedSequence()
    elif isinstance(rng, np.random.SeedSequence):
        sequence = rng
    elif isinstance(rng, (np.random.Generator, np.random.BitGenerator)):
        generator = np.random.default_rng(rng)
        sequence = np.random.SeedSequence(
            [int(v) for v in generator.integers(0, 1 << 32, 4, dtype=np.uint64)]
        )
    elif isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        sequence = np.random.SeedSequence(int(rng))
    else:
        fail(
            "rng",
            "must be None, an integer >= 0, or a NumPy seed sequence or generator",
            shown(rng),
            "pass an integer",
        )
    entropy = sequence.entropy
    numbers: int | tuple[int, ...]
    if isinstance(entropy, (int, np.integer)):
        numbers = int(entropy)
    else:
        numbers = tuple(int(v) for v in entropy or (0,))
    return Seed(numbers, tuple(int(k) for k in sequence.spawn_key))


def layout_of(
    beta: Reals, beta_star: Reals | None, scale: float
) -> tuple[np.ndarray, np.ndarray | None, Layout, np.ndarray, tuple[int, ...]]:
    """Distinct standardised inverse temperatures, where each requested one is, and the pairs (β, β*)."""
    beta_array = inverse_temperature(beta)
    if beta_star is None:
        unique, index = np.unique(beta_array * scale, return_inverse=True)
        return beta_array, None, Layout(unique, np.empty((0, 2), int)), index.reshape(beta_array.shape), ()
    star = inverse_temperature(beta_star, "beta_star")
    try:
        shape = np.broadcast_shapes(beta_array.shape, star.shape)
    except ValueError:
        fail(
            "beta, beta_star",
            "must broadcast",
            f"shapes {beta_array.shape} and {star.shape}",
            "add an axis, beta[:, None]",
        )
    unique, index = np.unique(np.concatenate([beta_array.ravel(), star.ravel()]) * scale, return_inverse=True)
    mine, its = (
        index[: beta_array.size].reshape(beta_array.shape),
        index[beta_array.size :].reshape(star.shape),
    )
    pairs = np.stack([np.broadcast_to(mine, shape).ravel(), np.broadcast_to(its, shape).ravel()], axis=1)
    return beta_array, star, Layout(unique, pairs), mine, shape


def require_moments(energies: Energies, n: int) -> None:
    """Refuse energies whose lowest value has no mean or no finite variance."""
    energies.require_maximum(float(n))
    if has_heavy_lower_tail(energies):
        fail(
            "energies",
            "must have a finite variance of their lowest value, or no standard error is honest",
            energies.name,
            "use thermodynamics, which needs only the mean",
        )


def open_logits(logits: Reals | str | os.PathLike[str]) -> tuple[np.ndarray, str]:
    """Return the logits, memory-mapped where they are a .npy file, and their name."""
    name = "given logits"
    if isinstance(logits, (str, os.PathLike)):
        name = str(logits)
        try:
            require_archive(Path(logits))
            loaded = np.load(logits, mmap_mode="r", allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile) and len(loaded.files) == 1:
                loaded = loaded[loaded.files[0]]
        except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
            fail(
                "logits",
                "must name a readable .npy or .npz file",
                f"{name} ({error})",
                "save the array with numpy.save",
            )
        if isinstance(loaded, np.lib.npyio.NpzFile):
            found = f"{name} with {loaded.files}"
            fail("logits", "must be a file with one array", found, "save it with numpy.save")
        array = loaded
    elif np.ma.isMaskedArray(logits):
        array = real_array("logits", np.ma.asarray(logits, dtype=float).filled(-np.inf))
    else:
        array = logits if isinstance(logits, np.ndarray) else real_array("logits", logits)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.shape[0] < 2 or array.shape[1] < 1:
        fail(
            "logits",
            "must be a real array of shape (samples >= 2, n)",
            f"shape {array.shape}, {array.dtype}",
            "put one sample in each row",
        )
    return array, name


def one_of(argument: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among the allowed ones."""
    if value not in allowed:
        fail(
            argument,
            f"must be one of {', '.join(allowed)}",
            shown(value),
            did_you_mean(str(value), allowed, "choose one of them"),
        )

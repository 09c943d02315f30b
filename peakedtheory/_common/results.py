"""What every result shares: a readable repr and labelled grids for xarray."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.types import Values

if TYPE_CHECKING:
    import xarray


def scalar_or_array(values: np.ndarray) -> Any:
    """Return a float for a zero-dimensional array, the array itself otherwise, read-only."""
    if values.ndim == 0:
        return float(values)
    values.flags.writeable = False
    return values


def describe(title: str, rows: dict[str, Any], errors: dict[str, Any] | None = None) -> str:
    """Return lines `name  value ± error`; arrays are shown by shape and range."""
    lines, width = [title], max(16, *(len(name) + 1 for name in rows))
    for name, value in rows.items():
        if np.ndim(value) == 0:
            error = f" ± {errors[name]:.1e}" if errors and name in errors else ""
            lines.append(
                f"  {name:<{width}}{value:.13g}{error}"
                if isinstance(value, float)
                else f"  {name:<{width}}{value}"
            )
        else:
            array = np.asarray(value)
            lines.append(f"  {name:<{width}}{array.shape} from {array.flat[0]:.6g} to {array.flat[-1]:.6g}")
    return "\n".join(lines)


def to_dataset(
    variables: dict[str, Any],
    coordinates: Mapping[str, Values],
    units: dict[str, str],
    attributes: dict[str, Any],
) -> xarray.Dataset:
    """Label `variables`, all of the shape that the `coordinates` broadcast to.

    A coordinate becomes a dimension where the grid varies along one axis only, and a plain variable
    where several axes share it.
    """
    import xarray  # slow to import

    shape = np.broadcast_shapes(*(np.shape(c) for c in coordinates.values()))
    full = {name: np.broadcast_to(value, shape) for name, value in coordinates.items()}
    names = [f"axis_{i}" for i in range(len(shape))]
    coords: dict[str, Any] = {}
    for name, values in full.items():
        axes = [i for i in range(values.ndim) if values.shape[i] > 1 and np.ptp(values, axis=i).any()]
        if not axes:
            coords[name] = values.flat[0]
        elif len(axes) == 1 and names[axes[0]].startswith("axis_"):
            names[axes[0]] = name
            coords[name] = np.moveaxis(values, axes[0], 0).reshape(values.shape[axes[0]], -1)[:, 0]
        else:
            coords[name] = (names, values)
    if names == ["axis_0"]:  # nothing varies: a list of one, or of equal values, is still its first one's
        names = [next(iter(full))]
        coords[names[0]] = full[names[0]]
    resolved = {k: (tuple(names), v[1]) if isinstance(v, tuple) else v for k, v in coords.items()}
    dataset = xarray.Dataset(
        {k: (tuple(names), np.asarray(v, dtype=float).reshape(shape)) for k, v in variables.items()},
        coords=resolved,
        attrs=attributes,
    )
    for name, unit in units.items():
        if name in dataset:
            dataset[name].attrs["units"] = unit
    return dataset


def fields_of(result: Any, *names: str) -> dict[str, Any]:
    """Return the named fields of a dataclass as a dictionary."""
    chosen = names or tuple(f.name for f in dataclasses.fields(result))
    return {name: getattr(result, name) for name in chosen}

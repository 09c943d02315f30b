"""Which rate Fig. 5ab shows of students that start at other scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.selection import closest, levels

if TYPE_CHECKING:
    import xarray

#: Rate that Fig. 5ab shows.
_START_RATE = 0.081


def shown_rate(data: xarray.Dataset) -> float:
    """Return the rate shown in Fig. 5ab, or the closest one."""
    return closest(levels(data, "learning_rate"), _START_RATE)

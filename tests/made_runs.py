"""Training runs made by hand: curves over the product of their settings."""

import numpy as np
import xarray

STEPS = np.unique(np.round(np.geomspace(1, 2000, 40)).astype(int))


def run(loss, beta=lambda star, rate, step: np.zeros(step.size), **axes):
    """Return a run over the product of its axes; curves are functions of the first two axes and the step."""
    grid = np.array(np.meshgrid(*axes.values(), indexing="ij")).reshape(len(axes), -1)
    columns = {name: ("case", grid[i]) for i, name in enumerate(axes)}
    both = [(loss(*case[:2], STEPS), beta(*case[:2], STEPS)) for case in grid.T]
    rates = columns["learning_rate"][1]
    return xarray.Dataset(
        {
            "loss": (("case", "time"), np.array([a for a, _ in both])),
            "loss_standard_error": (("case", "time"), np.full((grid.shape[1], STEPS.size), 1e-9)),
            "beta": (("case", "time"), np.array([b for _, b in both])),
            "tau": (("case", "time"), rates[:, None] * STEPS),
            "step": ("time", STEPS),
            "diverged": ("case", np.zeros(grid.shape[1], bool)),
        },
        coords=columns,
    )

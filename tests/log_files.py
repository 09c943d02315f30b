"""One training curve, the tables that logs of it hold, and the check that a reader gave it back."""

import numpy as np
import pytest

STEP = np.arange(10, 210, 10)
LOSS = 2.0 + 3.0 * STEP**-0.4
RATE = np.where(STEP <= 100, 1e-3, 2e-4)


def write(path, rows, delimiter=","):
    path.write_text("\n".join(delimiter.join(str(entry) for entry in row) for row in rows) + "\n")
    return path


def table(*names, columns=(STEP, LOSS, RATE)):
    return [names, *zip(*columns, strict=True)]


def records(step="step", loss="loss", rate="lr"):
    return [
        {step: int(s), loss: float(v), rate: float(r), "run": "a"}
        for s, v, r in zip(STEP, LOSS, RATE, strict=True)
    ]


def is_the_curve(curve, rates=True):
    np.testing.assert_array_equal(curve.step, STEP)
    np.testing.assert_allclose(curve.loss, LOSS, rtol=1e-6)
    if rates:
        assert curve.rates.size == 200
        np.testing.assert_allclose(curve.rates[:99], 1e-3, rtol=1e-6)
        np.testing.assert_allclose(curve.rates[109:], 2e-4, rtol=1e-6)
        # Linear from step 100 to step 110.
        assert curve.rates[104] == pytest.approx(6e-4, rel=1e-6)

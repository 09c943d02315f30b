"""Property tests of energies of your own: the theory's identities as a test module.

Run as `pytest examples/property_test.py`, or as a script, which draws how far each identity is from breaking
(property_test.png). Half a minute.
"""

import matplotlib.pyplot as plt
import pytest
from scipy import stats

from peakedtheory.testing import IDENTITIES, verify

MINE = stats.genextreme(-0.1)  # any frozen scipy.stats distribution, sample, or Energies object


@pytest.mark.parametrize("outcome", verify(MINE, examples=3), ids=lambda o: o.identity)
def test_identity_holds(outcome):
    """Each identity holds within the error estimates."""
    assert outcome.holds, outcome.example


if __name__ == "__main__":
    outcomes = verify(MINE, examples=3)
    assert len(outcomes) == len(IDENTITIES)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.barh([o.identity for o in outcomes], [max(o.worst, 1e-4) for o in outcomes])
    axes.axvline(1.0, color="0.4", ls="--")
    axes.set(xscale="log", xlabel="worst violation, in units of the error estimates (1 would break it)")
    axes.invert_yaxis()
    figure.savefig("property_test.png", dpi=150)
    print("all hold" if all(o.holds for o in outcomes) else "some identity fails")

"""Logits and energies far from zero, at the ends of double precision, masked, and mapped from files."""

import numpy as np
import pytest

from peakedtheory import Sample
from peakedtheory.sampling.montecarlo import estimate, estimate_from_logits


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("offset", [2.0**20, -(2.0**24), 1e9, 2.0**40])
def test_a_common_offset_of_logits_changes_nothing(precision, offset):
    """Logits on a grid of 1/64, which the offset moves without rounding."""
    y = np.round(np.random.default_rng(1).normal(size=(300, 50)) * 64) / 64
    beta = np.array([0.5, 1.0, 3.0])
    here = estimate_from_logits(y, beta, beta_star=2.0)
    there = estimate_from_logits(y + offset, beta, beta_star=2.0, precision=precision)
    for name in ("entropy", "energy_variance", "participation", "loss", "loss_gradient"):
        one, other = here.estimates()[name], there.estimates()[name]
        assert np.all(np.abs(one.mean - other.mean) <= one.bias_bound + other.bias_bound), name
        np.testing.assert_allclose(one.standard_error, other.standard_error, rtol=1e-6)
    change = there.log_partition.mean - here.log_partition.mean - beta * offset
    assert np.all(np.abs(change) <= here.log_partition.bias_bound + there.log_partition.bias_bound)
    assert np.all(there.log_partition.bias_bound < 1e-6 + 1e-14 * abs(offset))


def test_logits_at_the_ends_of_double_precision():
    for logits in (np.full((3, 2), 1e12), np.full((3, 2), -1e308)):
        entropy = estimate_from_logits(logits).entropy
        assert abs(entropy.mean - np.log(2)) <= entropy.bias_bound + 1e-16
    result = estimate_from_logits([[1e308, -1e308], [1e308, -1e308]])
    assert result.entropy.mean == 0.0
    assert result.internal_energy.mean == -1e308
    with pytest.raises(ValueError, match=r"logits: .* may differ by"):
        estimate_from_logits([[1e308, 0.0], [-1e308, 0.0]])


@pytest.mark.parametrize("source", ["sample", "function", "atoms"])
def test_an_offset_of_energies_changes_nothing(source):
    values = np.round(np.random.default_rng(1).normal(size=300) * 64) / 64

    def made(offset):
        if source == "function":
            return lambda rng, size: np.round(rng.normal(size=size) * 64) / 64 + offset
        return values[: 300 if source == "sample" else 5] + offset

    here, there = (
        estimate(3.0, 10, made(offset), samples=500, rng=1, beta_star=1.0) for offset in (0.0, 2.0**40)
    )
    for name in ("entropy", "energy_variance", "loss"):
        assert there.estimates()[name].mean == pytest.approx(here.estimates()[name].mean, rel=2e-6), name


def test_masked_logits_in_single_precision_carry_no_weight():
    result = estimate_from_logits([[0.0, 0.0, -1e9], [1.0, 1.0, -1e9]], precision="single")
    assert result.energy_variance.mean < 1e-100
    assert result.entropy.mean == pytest.approx(np.log(2), rel=1e-6)


def test_memory_maps_are_arrays_and_masks_rule_classes_out(tmp_path):
    y = np.random.default_rng(2).normal(size=(40, 5))
    np.save(tmp_path / "y.npy", y)
    expected = estimate_from_logits(tmp_path / "y.npy").entropy.mean
    assert estimate_from_logits(np.load(tmp_path / "y.npy", mmap_mode="r")).entropy.mean == expected
    masked = np.ma.array(y, mask=np.broadcast_to(np.arange(5) >= 3, y.shape))
    few = estimate_from_logits(y[:, :3]).entropy.mean
    assert estimate_from_logits(masked).entropy.mean == pytest.approx(few, rel=1e-13)
    assert Sample(np.ma.array([1.0, 9.0, 2.0], mask=[0, 1, 0])).values.tolist() == [1.0, 2.0]

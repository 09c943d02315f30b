"""Training on a real CUDA device beside the processor; skipped where there is none."""

import numpy as np
import pytest
import torch

from peakedtheory.dynamics.optimizers import SGD, Adam, Muon, SignGD
from peakedtheory.validation import Case, grid, train
from peakedtheory.validation.training.residual_network import ResidualPlan, train_residual

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

STEPS = 40
SIZES = {"n": 64, "record": 8, "test_samples": 512}
KINDS = {
    "sgd": grid(beta_star=[1, 60], optimizer=[SGD(r, 96) for r in (0.5, 2.0)], teacher=[0, 1]),
    "adam": [Case(optimizer=Adam(0.03, 96), seed=s, start_ratio=0.3) for s in (0, 1)],
    "signgd": [Case(optimizer=SignGD(0.01, 96), beta_star=np.inf)],
    "sampled": [Case(6.0, SGD(1.0, 96), labels="sampled", teacher=t) for t in (0, 1)],
    "muon": [Case(optimizer=Muon(0.1, 96), schedule=f"linear:peak=0.2,steps={STEPS}")],
    "mse": [Case(loss="mse", optimizer=SGD(1.0, 96))],
}


@pytest.mark.parametrize("kind", KINDS)
def test_both_devices_train_the_same_students(kind):
    on_device = train(KINDS[kind], STEPS, device="cuda", **SIZES)
    expected = train(KINDS[kind], STEPS, device="cpu", engine="torch", **SIZES)
    assert (on_device.attrs["device"], on_device.attrs["engine"]) == ("cuda", "torch")
    # signs, and Adam's normalised gradients, amplify the rounding of entries next to zero
    allowed = 1e-5 if kind in ("sgd", "sampled", "mse") else 3e-3
    np.testing.assert_allclose(on_device.loss, expected.loss, rtol=allowed, atol=1e-6)
    np.testing.assert_allclose(on_device.beta, expected.beta, rtol=allowed, atol=1e-6)


def test_double_precision_agrees_closely():
    on_device = train(KINDS["adam"], STEPS, device="cuda", dtype="float64", **SIZES)
    expected = train(KINDS["adam"], STEPS, device="cpu", dtype="float64", **SIZES)
    np.testing.assert_allclose(on_device.loss, expected.loss, rtol=1e-9, atol=1e-12)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_interrupted_runs_resume_to_the_bit(kind, tmp_path, monkeypatch):
    whole = train(KINDS[kind], STEPS, device="cuda", **SIZES)
    again = train(KINDS[kind], STEPS, device="cuda", **SIZES)
    monkeypatch.setattr("peakedtheory._common.resume.SAVE_SECONDS", 0.0)
    path = tmp_path / "run.npz"

    def stop(done, planned):
        if done > 20 and path.exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        train(KINDS[kind], STEPS, device="cuda", checkpoint=path, progress=stop, **SIZES)
    resumed = train(KINDS[kind], STEPS, device="cuda", checkpoint=path, resume=True, **SIZES)
    for name in whole.data_vars:
        np.testing.assert_array_equal(again[name].values, whole[name].values, err_msg=name)
        np.testing.assert_array_equal(resumed[name].values, whole[name].values, err_msg=name)


def test_residual_students_on_both_devices():
    plan = ResidualPlan((5.0, 50.0), 3, 6, 1e-3, 128, 30, teachers=(0, 1), n=64, test_samples=1024)
    record = np.array([1, 10, 30])
    on_device = train_residual(plan, record, device="cuda")
    again = train_residual(plan, record, device="cuda")
    expected = train_residual(plan, record, device="cpu")
    for name, values in expected.items():
        np.testing.assert_allclose(on_device[name], values, rtol=5e-3, err_msg=name)
        np.testing.assert_array_equal(again[name], on_device[name], err_msg=name)

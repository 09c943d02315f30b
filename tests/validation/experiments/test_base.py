"""Settings and results files of an experiment."""

from dataclasses import replace

import pytest
import xarray

from peakedtheory.validation.experiments.base import FORMAT
from peakedtheory.validation.experiments.registry import experiment


def test_settings_of_a_copy_differ_at_every_scale():
    changed = experiment("sgd-scan").at(steps=7)
    assert {scale["steps"] for scale in changed.settings.values()} == {7}
    assert experiment("sgd-scan").settings["paper"]["steps"] == 2000


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("experiment", "numerics", "must have experiment entropy"),
        ("scale", "paper", "must have scale tiny"),
        ("results_format", FORMAT + 1, "format version"),
        ("settings_digest", "0" * 16, "settings"),
    ],
)
def test_results_of_something_else_are_refused(attribute, value, message, tmp_path):
    chosen = experiment("entropy")
    data = xarray.Dataset({"beta": ("beta", [1.0])}, attrs={**chosen._identity("tiny"), attribute: value})
    chosen.save(data, tmp_path, "tiny")
    with pytest.raises(ValueError, match=message):
        chosen.load(tmp_path, "tiny")
    with pytest.raises(ValueError, match=message):
        chosen.run("tiny", output=tmp_path, resume=True)


def test_missing_and_broken_results(tmp_path):
    chosen = experiment("entropy")
    with pytest.raises(ValueError, match="run entropy at scale quick"):
        chosen.load(tmp_path, "quick")
    chosen.path(tmp_path, "quick").write_bytes(b"no NetCDF")
    with pytest.raises(ValueError, match="readable NetCDF"):
        chosen.load(tmp_path, "quick")


def test_unknown_device_is_refused(tmp_path):
    with pytest.raises(ValueError, match="device"):
        experiment("controls").run("tiny", device="abacus")


def test_results_of_the_former_starts_are_refused_by_name(tmp_path):
    """A file from before starts were a setting holds uniform ones."""
    chosen = experiment("residual-network")
    former = {k: v for k, v in chosen.settings["tiny"].items() if k not in ("starts", "planned_steps")}
    old = replace(chosen, settings={"tiny": former})
    old.save(xarray.Dataset({"loss": ("case", [1.0])}, attrs=old._identity("tiny")), tmp_path, "tiny")
    with pytest.raises(ValueError, match=r"starts = 'uniform' and not 'published'.*delete it and run again"):
        chosen.load(tmp_path, "tiny")


def test_a_scale_that_an_experiment_lacks_is_refused():
    with pytest.raises(ValueError, match="scale: must be one of paper, quick, tiny"):
        experiment("entropy").run("part")

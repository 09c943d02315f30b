"""The examples run from another folder, as a newcomer would run them, and leave their figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_example_runs_and_draws(name, tmp_path):
    run = [sys.executable, str(EXAMPLES / f"{name}.py")]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    sizes = [path.stat().st_size for path in tmp_path.glob("*.png")]
    assert sizes
    assert min(sizes) > 10_000

"""What a type checker says about a user's script, with the package as it is installed."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy")

SCRIPT = """
import numpy as np
import peakedtheory as pt

exact = pt.thermodynamics([1.0, 2.0], 50304, "laplace")
reveal_type(exact.entropy)
reveal_type(exact.error.free_energy)
reveal_type(pt.loss(np.float32(1.0), np.inf, 128))
reveal_type(pt.match_entropy(1.0, 20).beta_star)
reveal_type(pt.low_temperature_expansion(128).free_energy(np.linspace(1, 2, 3)))
reveal_type(pt.estimate(1.0, 20, lambda rng, size: rng.normal(size=size)).entropy.mean)
reveal_type(pt.Mixture([(0.5, None), (0.5, pt.Gaussian(1.0))]))
reveal_type(pt.exact.longest_expansion)
pt.thermodynamics(1, [[2, 3], [4, 5]], {0.0: 0.3, 1.0: 0.7})
pt.thermodynamics(np.arange(3), np.int64(4), pt.FiniteWidth(8))
pt.estimate(1.0, 20, [0.1, 0.2], rng=np.random.default_rng(1), checkpoint="run.npz")

pt.thermodynamics(beta="a", n=None)
pt.thermodynamics([1.0], 20, 3.5)
pt.loss(None, 1.0, 20)
pt.loss(["a"], 1.0, 20)
pt.Discrete("ab")
pt.estimate(1.0, 20, rng="seed")
pt.nosuch
pt.exact.nosuch
"""
VALUES = r"(float \| (numpy\.)?ndarray\[.*\]|Union\[(builtins\.)?float, numpy\.ndarray\[.*\]\])"
EXPECTED = {
    6: VALUES,
    7: VALUES,
    8: VALUES,
    9: VALUES,
    10: VALUES,
    11: VALUES,
    12: r"peakedtheory\.energies\.mixtures\.Mixture",
    13: r"def .*",
}
REFUSED = {
    18: ('Argument "beta".*"str"', 'Argument "n".*"None"'),
    19: ('Argument 3.*"float"',),
    20: ('Argument 1.*"None"',),
    21: (r'Argument 1.*"list\[str\]"',),
    22: ('Argument 1.*"str"',),
    23: ('Argument "rng".*"str"',),
    24: ("no attribute .nosuch.",),
    25: ("no attribute .nosuch.",),
}


def test_a_users_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--no-error-summary", script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = re.findall(r"^script\.py:(\d+): (note|error): (.*)$", found.stdout, flags=re.MULTILINE)
    assert said, found.stdout + found.stderr
    notes = {int(line): text for line, kind, text in said if kind == "note" and "Revealed" in text}
    assert notes.keys() == EXPECTED.keys()
    for line, kind in EXPECTED.items():
        assert re.fullmatch(rf'Revealed type is "{kind}"', notes[line]), notes[line]
    errors = [(int(line), text) for line, kind, text in said if kind == "error"]
    assert {line for line, _ in errors} == REFUSED.keys(), found.stdout
    for line, rules in REFUSED.items():
        texts = [text for at, text in errors if at == line]
        assert len(texts) == len(rules), texts
        for rule in rules:
            assert any(re.search(rule, text) for text in texts), (rule, texts)

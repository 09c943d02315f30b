"""Command lines with random options, lawful and hostile: an answer, or one line and exit status 2."""

import contextlib
import io
import sys
import warnings

import numpy as np
from random_calls import SECONDS, TooLong, limited

from peakedtheory.cli import main

_LONGEST = 1200

NUMBERS = ["1", "3.5", "1e3", "0", "inf"]
COUNTS = ["2", "128", "1e12", "1"]
ENERGIES = [
    "normal",
    "laplace",
    "t:df=5",
    "atoms:0=0.3,1=0.7",
    "finite-width:m=8",
    "poisson:mu=3",
    "norm:scale=2",
]
GRIDS = ["1,5", "0:20:5", "0.1:100:4:log", "3"]
HOSTILE = [
    "", "x", "nan", "-1", "-inf", "1e400", "1e150", "1e-300", "5e-324", "1:2", "0:1:1000000000", "1:1:0", "a:b:c:log", "laplce",
    "t:df=5,df=6", "norm:scale=0", "norm:scale=1e-300", "t:df=-1", "cauchy", "atoms:", "atoms:0=0", "atoms:0=0.5,1=0.7", "x" * 5000, "=", ":", ",",
    "nowhere.npy", "/dev/zero", "/tmp", "π", "0x10", "1_000", "--", "None", "True", "10**400", "9" * 400, "levy", "os.system",
]  # fmt: skip
COMMANDS = {
    "expand": {"--vocab": COUNTS, "--energies": ENERGIES, "--beta": GRIDS, "--order": ["2", "4"]},
    "entropy": {"--vocab": COUNTS, "--energies": ENERGIES, "--entropy": ["0.3", "0.1,0.6"]},
    "estimate": {
        "--vocab": ["5", "100"], "--energies": ENERGIES, "--beta": GRIDS, "--samples": ["100"], "--seed": ["1"], "--beta-star": NUMBERS,
        "--method": ["auto", "plain", "qmc"], "--precision": ["single", "double"],
    },
    "regime": {"--vocab": COUNTS[:2], "--energies": ENERGIES[:3], "--beta-star": NUMBERS, "--beta": ["0.5"]},
    "flow": {"--vocab": COUNTS[:2], "--beta-star": NUMBERS, "--schedule": ["constant:peak=0.1,steps=50"]},
}  # fmt: skip
#: Options without which a command does nothing, or too much.
NEEDED = {"expand": ["--vocab"], "entropy": ["--vocab", "--entropy"], "estimate": ["--vocab", "--samples", "--seed"], "regime": ["--vocab"], "flow": ["--vocab"]}  # fmt: skip


def command_lines(seed, count, names=tuple(COMMANDS)):
    """Yield random command lines; six of ten have one hostile value or two."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        name = names[rng.integers(len(names))]
        options = COMMANDS[name]
        chosen = {
            key: values[rng.integers(len(values))]
            for key, values in options.items()
            if key in NEEDED[name] or rng.random() < 0.5
        }
        for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.45, 0.15])):
            chosen[list(options)[rng.integers(len(options))]] = HOSTILE[rng.integers(len(HOSTILE))]
        yield [
            name,
            *(word for pair in chosen.items() for word in pair),
            *(["--json"] if rng.random() < 0.3 else []),
        ]


def command_fault(arguments):
    """Return what is wrong with what a command says, or an empty text."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["peakedtheory", *arguments]
    status = None
    try:
        with (
            limited(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error")
            main()
    except SystemExit as stopped:
        status = stopped.code
    except TooLong:
        return f"more than {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]!r}"
    finally:
        sys.argv = before
    said = err.getvalue().strip()
    if status in (None, 0):
        return "nan in the answer" if "nan" in out.getvalue().lower().split() else ""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if status != 2 or len(errors) != 1 or len(said) > _LONGEST:
        return f"status {status} and {said[:300]!r}"
    return ""

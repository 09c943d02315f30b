"""Calls of public functions with random arguments, lawful and hostile, and what may come of them.

A call may give a result without NaN, or a ValueError of one readable line. Everything else is a fault: another
exception, a warning, a silent NaN, a long message, or more than twenty seconds.
"""

import contextlib
import dataclasses
import inspect
import math
import signal
import warnings
from fractions import Fraction

import numpy as np
from scipy import stats

import peakedtheory as pt
from peakedtheory import dynamics, exact, schedules, testing

SECONDS = 20
_LONGEST = 900

CURVE = pt.LossCurve(
    np.arange(1.0, 200.0), 2.0 + np.arange(1.0, 200.0) ** -0.4, rates="constant:peak=1e-3,steps=200"
)
GRID = pt.estimate(np.linspace(20.0, 60.0, 6), 64, samples=300, rng=1, covariance=True)

BETA = [0.0, 0.5, 3.0, 40.0, 1e4, [0.5, 2.0], [[1.0], [5.0]]]
STAR = [1.0, 8.0, 300.0, math.inf]
COUNT = [2, 16, 128, 50304, 10**12, 1]
ENERGIES = [
    None, "laplace", "t:df=5", "expon", "uniform", "atoms:0=0.3,1=0.7", "finite-width:m=8", "poisson:mu=3", "normal:loc=1e6,scale=2",
    [0.0, 0.3, 2.0], {0.0: 1.0, 5.0: 2.0}, pt.Mixture([(0.3, "normal"), (0.7, "laplace")]), stats.gumbel_l(),
]  # fmt: skip
SCHEDULE = [
    "constant:peak=1e-3,steps=40",
    "cosine:peak=0.1,steps=50,warmup=5",
    np.full(30, 0.01),
    "wsd:peak=1,steps=64",
]
OPTIMIZER = [pt.SGD(0.1, 32, 4), pt.Adam(0.01, 16), pt.SignGD(0.01, 512), pt.Muon(0.01, 4), pt.GradientFlow()]
RATE = [1e-3, 0.1, 1.0]
SEED = [0, 7, None]

HOSTILE = [
    None, "", "x", "laplce", "nan", "1,2", b"bytes", "x" * 100_000, "a:" * 3000, True, False, math.nan, math.inf, -math.inf, -1, -0.0, 0,
    1e-300, 5e-324, 1e150, 1e300, 1.7e308, -1e300, 1e18, 2**63, 10**400, 0.1, 1 + 2j, Fraction(1, 3), [], [[]], (), {}, {"a": 1}, [1, "a"],
    [1.0, [2.0]], [math.nan, 1.0], [math.inf], np.array([]), np.zeros((2, 0)), np.zeros((1, 1, 1, 1)), np.array("text"), np.array([None]),
    np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False]), np.ma.masked, np.float32(2.0), np.int8(3), np.longdouble("1e4000"),
    np.datetime64("2020-01-01"), np.arange(5), object(), print, stats.norm, stats.norm([0.0, 1.0]), stats.t(-1), stats.cauchy(), range(3), {1, 2}, slice(3),
    pt, lambda: 0, "nowhere.npy", "/dev/null", "a\0b.npy", "a\nb",
]  # fmt: skip


def _catalogue():
    """Functions, and the lawful values of each of their arguments."""
    thermal = {"beta": BETA, "n": COUNT, "energies": ENERGIES}
    student = {"beta": BETA, "beta_star": STAR[:3], "n": COUNT, "energies": ENERGIES}
    run = {"steps": [10, 40], "beta_star": STAR, "n": [16, 128]}
    fitted = {
        "window": ["auto", (2.0, 150.0)],
        "origin": ["auto", "fit"],
        "loss": ["huber", "squares"],
        "delta": [1e-3, 0.1],
    }
    clock = {"peak": RATE, "steps": [1, 30], "warmup": [0, 3], "final": [0.0, 1e-4]}
    sampled = {"samples": [200, 2], "rtol": [None], "atol": [None], "rng": SEED}
    yield pt.thermodynamics, thermal | {"rtol": [None, 1e-3]}
    yield pt.loss, student
    yield pt.loss_gradient, student
    yield pt.loss_with_error, student
    yield (
        pt.misaligned_loss,
        {"alignment": [1.0, -2.0], "residual": [0.0, 1.0], "beta_star": STAR, "n": COUNT},
    )
    yield pt.match_entropy, {"entropy": [0.3, 0.69, [0.1, 0.2]], "n": COUNT, "energies": ENERGIES}
    yield pt.low_temperature_expansion, {"n": COUNT, "energies": ENERGIES, "order": [2, 4]}
    yield pt.high_temperature_expansion, {"n": COUNT, "energies": ENERGIES, "order": [2, 6]}
    yield pt.predict_exponent, {"n": COUNT, "energies": ENERGIES}
    yield pt.as_energies, {"energies": ENERGIES}
    yield pt.parse_energies, {"text": ENERGIES[1:9]}
    yield pt.Gaussian, {"mean": [0.0, 3.0], "std": [1.0, 0.1]}
    yield pt.Discrete, {"energies": [[0.0, 1.0]], "weights": [[0.2, 0.8], None]}
    yield pt.Sample, {"values": [[0.0, 1.0, 3.0]]}
    yield pt.Mixture, {"parts": [[(0.5, "normal"), (1.0, "laplace")]]}
    yield pt.FiniteWidth, {"width": [4, 32]}
    methods = ["auto", "plain", "order-statistics", "qmc"]
    yield pt.estimate, thermal | sampled | {
        "n": [1, 5, 80], "beta_star": [None, 2.0], "method": methods, "precision": ["single", "double"], "checkpoint": [None],
        "covariance": [False], "keep_samples": [False], "progress": [None],
    }  # fmt: skip
    logits = [np.ones((2, 3)), np.arange(12.0).reshape(4, 3)]
    yield (
        pt.estimate_from_logits,
        {"logits": logits, "beta": BETA, "beta_star": [None, 1.0], "precision": ["single", "double"]},
    )
    yield (
        pt.estimate_misaligned,
        sampled
        | {
            "alignment": [1.0, [1.0, 2.0]],
            "residual": [0.0, 1.0],
            "beta_star": STAR,
            "n": [5, 80],
            "samples": [50],
        },
    )
    yield pt.fit_low_temperature, {"estimates": [GRID], "order": [1, 2]}
    yield pt.fit_high_temperature, {"estimates": [GRID], "order": [1, 2]}
    yield pt.Clock, {"rates": [[0.1, 0.2]]}
    yield pt.parse_schedule, {"text": [SCHEDULE[0], SCHEDULE[3]], "steps": [None]}
    yield pt.dynamic_time, {"schedule": SCHEDULE, "steps": [None]}
    yield schedules.constant, {k: clock[k] for k in ("peak", "steps", "warmup")}
    yield schedules.power_decay, clock | {"power": [1.0, 3.0]}
    yield schedules.warmup_cosine, clock
    yield schedules.wsd, clock | {"decay": [0.2, 0.5]}
    yield schedules.one_minus_sqrt, clock | {"decay": [0.2]}
    yield schedules.hyperbolic, {"peak": RATE, "steps": [10], "half": [0.01]}
    yield schedules.step_list, {"boundaries": [[(0, 1.0), (5, 0.1)]], "steps": [10]}
    yield (
        pt.regime,
        {
            "beta_star": STAR,
            "n": COUNT[:4],
            "energies": ENERGIES[:6],
            "entropy": [None],
            "beta": [None, 0.5],
            "tau": [None],
        },
    )
    yield (
        pt.phase_diagram,
        {
            "beta_star": [[10.0, 100.0]],
            "n": [16, 128],
            "energies": ENERGIES[:5],
            "fraction": [None, [0.1, 0.5]],
        },
    )
    yield pt.student_flow, {
        "tau": [[1.0, 50.0], np.geomspace(1.0, 1e4, 5)], "beta_star": STAR, "n": [16, 128], "optimizer": [None, OPTIMIZER[-1]], "weight_decay": [0.0, 0.01]
    }  # fmt: skip
    yield pt.optimal_learning_rate, run | {"optimizer": OPTIMIZER[:2]}
    yield (
        pt.optimal_schedule,
        run | {"optimizer": OPTIMIZER[:1], "refine": [False], "families": [("cosine",)]},
    )
    yield dynamics.best_of_family, run | {"name": ["cosine"], "optimizer": OPTIMIZER[:1]}
    for kind in (pt.SGD, pt.SignGD, pt.Adam, pt.Muon):
        yield kind, {"learning_rate": RATE, "batch": [1, 64.0], "width": [4]}
    late = {"tau": [[1.0, 100.0], 5.0], "n": [16, 50304], "c_eff": [1.0, 0.5]}
    yield dynamics.linear_start, late | {"beta_star": STAR}
    yield dynamics.power_law, late
    yield dynamics.exponential_end, late | {"beta_star": STAR[:3], "deviation": [0.1]}
    yield dynamics.finite_beta_star_law, late | {"beta_star": STAR}
    yield dynamics.decay_exponent, {"power": [0.0, 1.0, math.inf]}
    yield dynamics.annealing, {"cap": [0.1, 1.0], "steps": [20], "optimizer": OPTIMIZER[:1]}
    yield dynamics.exponent_of_gap, {"gap_exponent": [0.0, 1.0]}
    yield dynamics.exponent_of_edge, {"edge_exponent": [0.3, 2.0]}
    yield (
        pt.LossCurve,
        {
            "step": [np.arange(1.0, 9.0)],
            "loss": [1.0 / np.arange(1.0, 9.0)],
            "rates": [None, "constant:peak=1,steps=20"],
        },
    )
    yield (
        pt.fit_loss_curve,
        {"curves": [CURVE, [CURVE]], "law": ["power"], "bootstrap": [0], "rng": SEED} | fitted,
    )
    yield pt.compare_laws, {"curves": [CURVE], "laws": [["power"]], "held_out": [0.5]} | fitted
    yield (
        pt.forecast,
        {"source": [CURVE], "steps": [[300, 400]], "law": ["power"], "level": [0.95], "schedule": [None]},
    )
    yield pt.curve_regime, {"curve": [CURVE], "n": [128, 50304], "entropy": [None, 1.69], "energies": [None]}
    yield pt.measure_collapse, {"curves": [[CURVE, CURVE]], "against": ["tau", "step"], "rng": [0]}
    yield pt.compare_collapse, {"curves": [[CURVE, CURVE]], "rng": [0]}
    yield (
        testing.violation,
        {"name": list(testing.IDENTITIES)[:3], "beta": [0.5, 3.0], "n": [2, 16], "energies": ENERGIES[:4]},
    )
    yield (
        exact.longest_expansion,
        {"expansion": [pt.low_temperature_expansion], "n": [16], "energies": ENERGIES, "order": [2]},
    )


CATALOGUE = list(_catalogue())
#: Those that answer within a second, whatever lawful arguments they are given, on a busy machine.
QUICK = [
    entry
    for entry in CATALOGUE
    if entry[0].__module__.rsplit(".", 1)[-1]
    not in (
        "regimes",
        "tuning",
        "student",
        "losses",
        "standing",
        "entropy",
        "misaligned",
        "comparison",
        "forecasts",
    )
]


@dataclasses.dataclass(frozen=True)
class Call:
    function: object
    arguments: dict

    def __str__(self):
        shown = ", ".join(f"{name}={repr(value)[:90]}" for name, value in self.arguments.items())
        return f"{self.function.__name__}({shown})".replace("\n", " ")


def calls(seed, count, catalogue=CATALOGUE):
    """Yield random calls; six of ten have one hostile argument or two."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        function, lawful = catalogue[rng.integers(len(catalogue))]
        required = {
            name
            for name, p in inspect.signature(function).parameters.items()
            if p.default is inspect.Parameter.empty
        }
        arguments = {
            name: values[rng.integers(len(values))]
            for name, values in lawful.items()
            if name in required or name in ("samples", "rng", "steps") or rng.random() < 0.6
        }
        for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.45, 0.15])):
            name = list(lawful)[rng.integers(len(lawful))]
            arguments[name] = HOSTILE[rng.integers(len(HOSTILE))]
        yield Call(function, arguments)


class TooLong(BaseException):
    pass


@contextlib.contextmanager
def limited():
    def stop(*_):
        raise TooLong

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def fault(call):
    """Return what is wrong with what comes of a call, or an empty text."""
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            result = call.function(**call.arguments)
            text = repr(result)
    except ValueError as error:
        message = str(error)
        if (
            isinstance(error, UnicodeError)
            or ":" not in message
            or not message.isprintable()
            or len(message) > _LONGEST
        ):
            return f"a message that is not ours: {message[:300]!r}"
        return ""
    except TooLong:
        return f"more than {SECONDS} s"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]!r}"
    if len(text) > 100_000:
        return f"a repr of {len(text)} characters"
    missing = list(_nan(result, ""))
    return f"NaN in {', '.join(missing[:4])}" if missing else ""


#: Where NaN says that there is nothing, as documented.
_MAY_BE_NAN = (
    "error",
    "bias",
    "excess",
    "excess_error",
    "in_sample",
)  # of a law that cannot be fitted (`LawScore`)


def _nan(value, where):
    """Yield the places of NaN in a result."""
    if isinstance(value, (float, np.floating, np.ndarray)):
        array = np.asarray(value)
        if array.dtype.kind == "f" and np.isnan(array).any() and where not in _MAY_BE_NAN:
            yield where or "the result"
    elif dataclasses.is_dataclass(value) and not isinstance(value, (type, pt.LossCurve)):
        for f in dataclasses.fields(value):
            yield from _nan(getattr(value, f.name), f.name)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value[:50]):
            yield from _nan(item, f"{where}[{i}]")

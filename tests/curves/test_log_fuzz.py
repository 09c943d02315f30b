"""Logs that are damaged at random: each is read or refused with one line, and none hangs."""

import random
import time
import warnings

import numpy as np
import pytest
from log_consoles import CONSOLES
from log_files import TABLES

from peakedtheory.curves.readers import read_loss_curves

STYLES = list((CONSOLES | TABLES).values())
PIECES = ["\n", "\r", "\t", ",", "|", '"', "'", "{", "}", "[", "]", ":", "=", "nan", "inf", "-", "1e999", "0", "-1",
          "\0", "\ufeff", "é", "step", "loss", "lr", "val", "epoch", "null", "9" * 40, " - ", "%", "/", "1/2", "#"]  # fmt: skip
DAMAGES = ("cut", "drop", "double", "swap", "insert", "replace", "shuffle", "number", "join")


def damaged(text, chance):
    """The text after one to six random damages."""
    for _ in range(chance.randint(1, 6)):
        kind, at = chance.choice(DAMAGES), chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.randint(1, 200))
        lines = text.splitlines(keepends=True) or [""]
        if kind == "cut":
            text = text[:at]
        elif kind == "drop":
            text = text[:at] + text[end:]
        elif kind == "double":
            text = text[:end] + text[at:]
        elif kind == "swap":
            text = text[at:] + text[:at]
        elif kind == "insert":
            text = text[:at] + chance.choice(PIECES) * chance.randint(1, 3) + text[at:]
        elif kind == "replace":
            text = text.replace(chance.choice(PIECES), chance.choice(PIECES))
        elif kind == "shuffle":
            chance.shuffle(lines)
            text = "".join(lines)
        elif kind == "number":
            text = text.replace(chance.choice("0123456789"), chance.choice(PIECES), chance.randint(1, 9))
        else:
            text += chance.choice(TEXTS)[: chance.randint(0, 2000)]
    return text


TEXTS = [one.text.decode("utf-16") if isinstance(one.text, bytes) else one.text for one in STYLES]
OPTIONS = (
    {},
    {},
    {"split": "validation"},
    {"restarts": "shift"},
    {"restarts": "apart"},
    {"every": 10.0},
    {"bits": True},
)


def outcome(file, options):
    """The curves in a file and no message, or the message with which it is refused."""
    try:
        return read_loss_curves(file, **options), ""
    except ValueError as error:
        return [], str(error)


def survives(file, data, options):
    file.write_bytes(data)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        curves, message = outcome(file, options)
    assert time.process_time() - start < 5.0
    assert "\n" not in message
    assert len(message) < 800
    assert bool(curves) != bool(message)
    for curve in curves:
        assert np.isfinite(curve.loss).all()
        assert (np.diff(curve.step) > 0).all()
        assert not any("\n" in note for note in curve.metadata["notes"])


def run(file, seeds):
    for seed in seeds:
        chance = random.Random(seed)
        text = damaged(chance.choice(TEXTS), chance)
        survives(file, text.encode("utf-8", "surrogatepass"), chance.choice(OPTIONS))


def test_damaged_logs(tmp_path):
    run(tmp_path / "run.log", range(400))


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_damaged_logs_of_other_names(tmp_path, suffix):
    run(tmp_path / f"run.{suffix}", range(1000, 1100))


@pytest.mark.nightly
def test_many_damaged_logs(tmp_path):
    run(tmp_path / "run.log", range(10_000, 30_000))


def test_bytes_at_random(tmp_path):
    generator = np.random.default_rng(0)
    for _ in range(50):
        data = bytearray(generator.choice(TEXTS)[:3000].encode())
        for place in generator.integers(0, len(data), 20):
            data[place] = generator.integers(256)
        survives(tmp_path / "run.log", bytes(data), {})

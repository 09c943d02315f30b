"""The unit of a logged loss: nats, bits or a perplexity, as asked for or as the log itself shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs.names import is_bits, is_loss, is_perplexity, tokens
from peakedtheory.curves.logs.table import Log

#: Columns that only fairseq writes, whose losses are in bits.
_FAIRSEQ = {"wps", "ups", "wpb", "bsz"}
#: Losses are written with so many digits at least.
_DIGITS = 0.01


@dataclass(frozen=True)
class Unit:
    """How to turn a column into nats: its logarithm where it is a perplexity, then times a factor."""

    factor: float
    is_perplexity: bool = False
    note: str = ""

    def nats(self, values: np.ndarray) -> np.ndarray:
        """Return values in nats; a perplexity below 1 has none."""
        if not self.is_perplexity:
            return self.factor * values
        return self.factor * np.log(np.where(values >= 1.0, values, np.nan))


def unit_of(log: Log, loss: str, bits: bool | None, bytes_per_token: float | None) -> Unit:
    """Return the unit of a column.

    Parameters
    ----------
    log : Log
    loss : str
        The column.
    bits : bool, optional
        Whether it is in bits; found out where it is left open.
    bytes_per_token : float, optional
        Where it is per byte: mean bytes of a token.

    Raises
    ------
    ValueError
        If the number of bytes is not positive.
    """
    if bytes_per_token is not None and not (0 < bytes_per_token < math.inf):
        fail(
            "bytes_per_token", "must be a finite number > 0", f"{bytes_per_token}", "3 to 5 is usual for text"
        )
    per_token = 1.0 if bytes_per_token is None else float(bytes_per_token)
    if bits is None and is_perplexity(loss):
        return Unit(per_token, True, f"{loss} is a perplexity: its logarithm was taken")
    found, note = (bits, "") if bits is not None else _in_bits(log, loss)
    if "bpb" in tokens(loss) and bytes_per_token is None:
        note += "; it is per byte (--bytes-per-token X gives values per token)"
    return Unit((math.log(2.0) if found else 1.0) * per_token, False, note.removeprefix("; "))


def _in_bits(log: Log, loss: str) -> tuple[bool, str]:
    if is_bits(loss):
        return True, f"{loss} is in bits: it was turned into nats (--nats leaves it)"
    for ppl in filter(is_perplexity, log.columns):
        for one in filter(is_loss, log.columns):
            both = np.isfinite(log.columns[ppl]) & np.isfinite(log.columns[one])
            value, power = log.columns[one][both], log.columns[ppl][both]
            if not value.size or (power <= 1.0).any():
                continue
            if _agree(np.log(power), value):
                return False, ""
            if _agree(np.log2(power), value):
                return (
                    True,
                    f"{ppl} is 2 to the power of {one}: bits were turned into nats (--nats leaves them)",
                )
    if set(log.columns) >= _FAIRSEQ:
        return True, "fairseq writes losses in bits: they were turned into nats (--nats leaves them)"
    return False, ""


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((np.abs(one - other) <= _DIGITS * np.maximum(1.0, 0.1 * np.abs(other))).all())

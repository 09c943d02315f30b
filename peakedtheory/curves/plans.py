"""What may follow a run from now on: its rate held, and brought down to an end."""

from __future__ import annotations

import numpy as np

from peakedtheory._common.checks import MOST_STEPS, fail, whole_number
from peakedtheory._common.texts import named_values
from peakedtheory.curves.curve import LossCurve
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike, as_schedule

_NOW = "now"
#: Shares of the steps that are left over which a decay is tried.
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_EXAMPLE = "now:hold=10000,decay=2000"


def planned(curve: LossCurve, schedule: ScheduleLike) -> Clock:
    """Return the rates of a schedule, or of "now:hold=…,decay=…,final=…", which goes on from the curve.

    `hold` steps at the last rate come first, then `decay` steps in a straight line to `final`, which is zero
    if it is not given.

    Raises
    ------
    ValueError
        If the text names anything else, no step, or the curve's rates are not known.

    Examples
    --------
    >>> curve = LossCurve([1, 2], [4.0, 3.0], rates=[0.1, 0.1])
    >>> planned(curve, "now:hold=1,decay=2").rates.tolist()
    [0.1, 0.1, 0.1, 0.05, 0.0]
    """
    if not isinstance(schedule, str) or schedule.split(":")[0].strip() != _NOW:
        return as_schedule(schedule)
    _, values = named_values("schedule", schedule, _EXAMPLE)
    unknown = sorted(set(values) - {"hold", "decay", "final"})
    if unknown:
        fail("schedule", "now takes hold, decay and final", unknown[0], f"write {_EXAMPLE}")
    hold, decay = (
        whole_number(f"schedule {key}", values.get(key, 0), 0, MOST_STEPS, f"write {_EXAMPLE}")
        for key in ("hold", "decay")
    )
    if hold + decay == 0:
        fail("schedule", "now must have steps to hold or to decay", repr(schedule), f"write {_EXAMPLE}")
    if curve.clock is None:
        rule = "of the log must be known for what follows from now on"
        fail("rates", rule, "None", "give --log-schedule, or schedule when the curve is built")
    past = curve.clock.rates[: int(np.ceil(curve.step[-1]))]
    falling = np.linspace(past[-1], values.get("final", 0.0), decay + 1)[1:]
    return Clock(np.concatenate([past, np.full(hold, past[-1]), falling]), name=schedule)


def decays(left: int) -> list[str]:
    """Return plans for `left` more steps, of which the last 5 to 100 % bring the rate down to zero.

    Raises
    ------
    ValueError
        If no step is left.
    """
    steps = whole_number("left", left, 1, MOST_STEPS, "say how many steps are left")
    falling = sorted({max(1, round(share * steps)) for share in _SHARES})
    return [f"{_NOW}:hold={steps - fall},decay={fall}" for fall in falling]

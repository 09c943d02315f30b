"""Learning rates of a run at any time, linear between given points and constant beyond them."""

from peakedtheory.kernels.lanes import inner

#: Rows of a plan: times, ascending, and what the rate is there.
_TIME, _RATE = range(2)


@inner
def rate_at(t, plan):
    """Rate at time t."""
    low, high = 0, plan.shape[1]
    while low < high:  # to the first time beyond t
        middle = (low + high) // 2
        if plan[_TIME, middle] > t:
            high = middle
        else:
            low = middle + 1
    if low == 0 or low == plan.shape[1]:
        return plan[_RATE, max(low - 1, 0)]
    before, rate = plan[_TIME, low - 1], plan[_RATE, low - 1]
    return rate + (plan[_RATE, low] - rate) * (t - before) / (plan[_TIME, low] - before)

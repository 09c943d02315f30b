# What the root leaves
from .families import (
    constant as constant,
    power_decay as power_decay,
    warmup_cosine as warmup_cosine,
    wsd as wsd,
    one_minus_sqrt as one_minus_sqrt,
    hyperbolic as hyperbolic,
    step_list as step_list,
    BUILDERS as BUILDERS,
)
from .averages import (
    MovingAverage as MovingAverage,
    TailAverage as TailAverage,
    parse_average as parse_average,
)
from .reading import as_schedule as as_schedule

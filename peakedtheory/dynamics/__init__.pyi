# What the root leaves
from .closed_forms import (
    linear_start as linear_start,
    power_law as power_law,
    exponential_end as exponential_end,
    finite_beta_star_law as finite_beta_star_law,
    ClosedForm as ClosedForm,
)
from .gap_law import exponent_of_gap as exponent_of_gap, exponent_of_edge as exponent_of_edge
from .late_time import (
    asymptotic_rate as asymptotic_rate,
    decay_exponent as decay_exponent,
    annealing as annealing,
    annealing_limit as annealing_limit,
)
from .labels import LABELS as LABELS
from .temperature import (
    best_scale as best_scale,
    best_scale_of_logits as best_scale_of_logits,
    BestScale as BestScale,
)
from .tuning import best_of_family as best_of_family, FAMILIES as FAMILIES

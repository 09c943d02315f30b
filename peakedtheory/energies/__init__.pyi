# What the root leaves
from .laws import (
    STANDARD_NORMAL as STANDARD_NORMAL,
    StandardNormal as StandardNormal,
    Continuous as Continuous,
)

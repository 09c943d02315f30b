# What the root leaves
from .normal import STANDARD_NORMAL as STANDARD_NORMAL, StandardNormal as StandardNormal
from .continuous import Continuous as Continuous

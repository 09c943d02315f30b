# What the root leaves
from .curve import as_curves as as_curves
from .law_registry import LAWS as LAWS
from .law import Law as Law, Parameter as Parameter, parse_law as parse_law
from .law_student import student_law as student_law

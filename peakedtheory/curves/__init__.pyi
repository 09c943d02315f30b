# What the root leaves
from .curve import as_curves as as_curves
from .law import Law as Law, Parameter as Parameter
from .law_registry import LAWS as LAWS, parse_law as parse_law
from .law_student import student_law as student_law

# What the root leaves
from .expansions import longest_expansion as longest_expansion
from .series import Expansion as Expansion

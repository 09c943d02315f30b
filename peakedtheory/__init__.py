"""Numerical theory of learning peaked distributions.

Exact free energies of n i.i.d. energies at any finite n, their expansions, the losses and entropies that
follow, Monte Carlo where no closed form exists, scaling regimes, training dynamics and schedules.
"""

from pathlib import Path

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

if not Path(__file__).with_name("kernels").is_dir():  # in a clone's own folder it lies beside this package
    __path__.append(str(Path(__file__).parents[1]))

"""Compiled core, Monte Carlo, training and flows: Numba only, no Python objects, no input or output."""

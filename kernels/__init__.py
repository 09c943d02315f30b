"""Compiled Monte Carlo core: Numba only, no Python objects, no input or output."""

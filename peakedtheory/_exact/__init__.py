"""Exact averages over the energies: distributions, quadratures and series coefficients."""

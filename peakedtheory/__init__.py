"""Numerical theory of learning peaked distributions."""

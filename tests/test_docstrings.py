import doctest
import importlib
import pkgutil

import pytest

import peakedtheory

MODULES = [
    f"peakedtheory.{m.name}"
    for m in pkgutil.iter_modules(peakedtheory.__path__)
    if m.name not in {"cli", "kernels", "validation"}
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", peakedtheory.__all__)
def test_public_names_are_documented(name):
    assert (getattr(peakedtheory, name).__doc__ or "").strip()

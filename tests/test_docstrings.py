import doctest
import importlib
import pkgutil

import pytest

import peakedtheory

MODULES = [
    module.name
    for module in pkgutil.walk_packages(peakedtheory.__path__, "peakedtheory.")
    if module.name.split(".")[1] not in {"cli", "kernels", "validation"}
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", peakedtheory.__all__)
def test_public_names_are_documented(name):
    assert (getattr(peakedtheory, name).__doc__ or "").strip()

import doctest
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import peakedtheory

MODULES = [
    module.name
    for module in pkgutil.walk_packages([str(Path(peakedtheory.__file__).parent)], "peakedtheory.")
    if module.name.split(".")[1] not in {"cli", "kernels", "validation"}
]
PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()


ROOMS = (
    "curves",
    "dynamics",
    "energies",
    "exact",
    "figures",
    "kernels",
    "sampling",
    "schedules",
    "testing",
    "validation",
)


def public_names():
    """What the root and its namespaces hand out, as written after `peakedtheory.`."""
    names = [name for name in peakedtheory.__all__ if name not in ROOMS]
    for room in ROOMS:
        names += [f"{room}.{name}" for name in getattr(getattr(peakedtheory, room), "__all__", ())]
    return names


def resolve(name):
    return functools.reduce(getattr, name.split("."), peakedtheory)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_page_lists_every_public_name_once_and_no_other():
    listed = re.findall(r"^   ([A-Za-z]\S*)$", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == sorted(public_names())


def test_a_public_name_has_one_address():
    addresses = {}
    for name in public_names():
        addresses.setdefault(id(resolve(name)), []).append(name)
    assert [names for names in addresses.values() if len(names) > 1] == []
    assert set(dir(peakedtheory)) == {*peakedtheory.__all__}
    for room in ROOMS:
        assert resolve(room).__name__ == f"peakedtheory.{room}"


def test_the_root_has_the_results_of_its_calls():
    everyday = {name for name in peakedtheory.__all__ if name not in ROOMS}
    shown = {name.rpartition(".")[2] for name in public_names()}
    for name in public_names():
        function = resolve(name)
        if inspect.isfunction(function):
            result = re.match(r"\w+", str(function.__annotations__.get("return")))[0]
            kind = vars(inspect.getmodule(function)).get(result)
            if inspect.isclass(kind) and kind.__module__.startswith("peakedtheory"):
                assert result in (everyday if name in everyday else shown), name


@pytest.mark.parametrize("name", public_names())
def test_public_names_are_documented(name):
    value = resolve(name)
    if inspect.isclass(value):
        assert (inspect.getdoc(value) or "").strip()
        for method, function in inspect.getmembers(value, inspect.isfunction):
            assert method.startswith("_") or (inspect.getdoc(function) or "").strip(), method
    if not inspect.isfunction(value):
        return
    text = inspect.getdoc(value) or ""
    if parameters := inspect.signature(value).parameters:
        assert "Parameters\n---" in text
        described = text.split("Parameters\n---")[1].split("\n\n")[0]
        assert not [name for name in parameters if not re.search(rf"\b{name}\b", described)]
    if value.__annotations__.get("return") not in (None, "None"):
        assert "Returns\n---" in text

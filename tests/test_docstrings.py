import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import peakedtheory

MODULES = [
    module.name
    for module in pkgutil.walk_packages(peakedtheory.__path__, "peakedtheory.")
    if module.name.split(".")[1] not in {"cli", "kernels", "validation"}
]
PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text()


def listed():
    """Full names that the page lists, and the modules whose members it shows."""
    names, modules = [], []
    for block in re.findall(r"```\{eval-rst\}\n(.*?)```", PAGE, flags=re.DOTALL):
        current = re.search(r"currentmodule:: (\S+)", block)
        place = current[1] if current else "peakedtheory"
        names += [
            f"{place}.{entry}" for entry in re.findall(r"^   ([A-Za-z]\S*)$", block, flags=re.MULTILINE)
        ]
        modules += re.findall(r"automodule:: (\S+)", block)
    return names, modules


def resolve(full):
    module, _, name = full.rpartition(".")
    return getattr(importlib.import_module(module), name)


def defined_in(module):
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
        and callable(value)
    }


def public_names():
    """Full names of what the lists of the modules, the page and its modules hold, each object once."""
    names, modules = listed()
    for name in ("peakedtheory", *MODULES, "peakedtheory.validation"):
        module = importlib.import_module(name)
        if not any(part.startswith("_") for part in name.split(".")):
            names += [f"{name}.{short}" for short in getattr(module, "__all__", ())]
    for name in modules:
        names += [f"{name}.{short}" for short in sorted(defined_in(importlib.import_module(name)))]
    found = {}
    for full in names:
        found.setdefault(id(resolve(full)), full)
    return sorted(found.values())


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_page_lists_every_public_name_and_no_other():
    names, modules = listed()
    assert len(set(names)) == len(names)
    for full in names:
        module = importlib.import_module(full.rpartition(".")[0])
        assert full.rpartition(".")[2] in {*getattr(module, "__all__", ()), *defined_in(module)}, full
    shown = {id(resolve(full)) for full in names}
    for module in map(importlib.import_module, modules):
        shown |= {id(getattr(module, name)) for name in defined_in(module)}
    assert not [full for full in public_names() if id(resolve(full)) not in shown]


def test_the_page_lists_what_public_functions_return():
    shown = {full.rpartition(".")[2] for full in public_names()}
    for function in filter(inspect.isfunction, map(resolve, public_names())):
        result = re.match(r"\w+", str(function.__annotations__.get("return")))[0]
        kind = vars(inspect.getmodule(function)).get(result)
        if inspect.isclass(kind) and kind.__module__.startswith("peakedtheory"):
            assert result in shown, function.__name__


@pytest.mark.parametrize("full", public_names())
def test_public_names_are_documented(full):
    value = resolve(full)
    if inspect.isclass(value):
        assert (inspect.getdoc(value) or "").strip()
    if not inspect.isfunction(value):
        return
    text = inspect.getdoc(value) or ""
    if parameters := inspect.signature(value).parameters:
        assert "Parameters\n---" in text
        described = text.split("Parameters\n---")[1].split("\n\n")[0]
        assert not [name for name in parameters if not re.search(rf"\b{name}\b", described)]
    if value.__annotations__.get("return") not in (None, "None"):
        assert "Returns\n---" in text

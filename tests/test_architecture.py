"""The rules of docs/architecture.md that no linter checks: imports as they are written, in functions too."""

import graphlib
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import architecture_picture as picture
import pytest

ROOT = Path(__file__).parents[1]
FILES = picture.module_files()
IMPORTS = {name: list(picture.imports(path, FILES)) for name, path in FILES.items()}
#: What an import of ours inside a function may keep from being loaded, and names in a comment.
SLOW = ("torch", "triton", "numba", "matplotlib", "xarray", "transformers")


def test_no_circle_of_files():
    assert len(FILES) > 150
    graph = {name: {one.module for one in found} for name, found in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_kernels_import_nothing_of_ours():
    kernels = {name: found for name, found in IMPORTS.items() if name.startswith("peakedtheory.kernels.")}
    assert len(kernels) > 15
    used = {one.module for found in kernels.values() for one in found}
    assert [module for module in used if not module.startswith("peakedtheory.kernels.")] == []


def comment(lines, number):
    """What stands beside an import, or above it and the imports that share one comment with it."""
    found = [lines[number - 1]]
    for line in reversed(lines[: number - 1]):
        if not re.match(r"\s*(#|from |import |[\w, ]+,?$|\))", line):
            break
        found.append(line)
    return " ".join(line.partition("#")[2] for line in found).lower()


def test_imports_in_functions_say_what_they_keep_from_being_loaded():
    silent = []
    for name, found in IMPORTS.items():
        lines = FILES[name].read_text().splitlines()
        inside = [one for one in found if one.in_function]
        silent += [
            f"{name}:{one.line}" for one in inside if not any(s in comment(lines, one.line) for s in SLOW)
        ]
    assert silent == []


@pytest.mark.parametrize("name", ["peakedtheory", "peakedtheory.cli"])
def test_importing_loads_nothing_slow(name):
    slow = {*SLOW, "scipy", "hypothesis"}
    code = f"import sys, {name}; print(sorted({slow} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_importing_takes_a_moment():
    """Its own time is that of an interpreter which imports it, less that of one which does not."""

    def seconds(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    assert min(seconds("import peakedtheory") - seconds("pass") for _ in range(5)) < 0.2


def test_the_picture_shows_every_room_and_points_downwards():
    found = picture.rooms()
    floor = picture.floors(found)
    assert all(floor[source] > floor[target] for source, target in found.arrows)
    shown = {text.get_text() for text in picture.draw_architecture(found).axes[0].texts}
    assert set(found.lines) <= shown
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(found.lines)


PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "commands.md"], ids=lambda p: p.name)
def test_modules_and_files_named_in_the_pages_exist(page):
    text = page.read_text()
    for name in re.findall(r"`(peakedtheory(?:\.[a-z_]+)+)`", text):
        assert importlib.util.find_spec(name), name
    for path in re.findall(
        r"`((?:peakedtheory|tests|docs|examples|benchmarks|kernels|validation)/[\w/.*]+)`", text
    ):
        assert list(ROOT.glob(path)), path

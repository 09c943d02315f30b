"""Sphinx configuration: pages in MyST, executed by myst-nb, API from numpydoc, commands from the CLI."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

project = "peakedtheory"
author = "The peakedtheory developers"
copyright = "2026, the peakedtheory developers"
release = metadata.version("peakedtheory")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "images"]
html_theme = "furo"
html_title = "peakedtheory"
nitpicky = True
# Prose in numpydoc type fields is not a reference; private helpers and members of classes have no page.
nitpick_ignore_regex = [
    ("py:.*", r"^(?!peakedtheory\.[a-z]).*"),
    ("py:.*", r".*\b_.*"),
    ("py:.*", r"peakedtheory\.[a-z_]+\.[A-Z]\w*\..*"),
]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = "docs/_build/.jupyter_cache"
nb_execution_timeout = 240
nb_merge_streams = True

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"no-value": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


def _help(*arguments: str) -> str:
    """Return what a user sees: the help of one command, from a terminal of fixed width."""
    environment = {"COLUMNS": "110", "PATH": str(Path(sys.executable).parent), "TERM": "dumb"}
    run = [str(Path(sys.executable).parent / "peakedtheory"), *arguments, "--help"]
    return subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def write_commands(app) -> None:
    """Write commands.md from the command line itself, so that the two cannot differ."""
    overview = _help()
    names = re.findall(r"^  ([a-z]+)  ", overview.split("Commands:")[1], flags=re.MULTILINE)
    pages = [
        "# Commands\n",
        "What each command prints with `--help`, taken from the program when these pages are built.\n",
    ]
    pages += [f"```text\n{overview}\n```\n"]
    pages += [f"## {name}\n\n```text\n{_help(name)}\n```\n" for name in names]
    target = Path(app.srcdir) / "commands.md"
    text = "\n".join(pages)
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


def setup(app) -> None:
    """Connect the generated page to the build."""
    app.connect("builder-inited", write_commands)

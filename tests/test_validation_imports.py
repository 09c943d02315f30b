"""Every module can be the first that is imported: none needs another one to have been loaded before."""

import json
import subprocess
import sys

import pytest

#: Imports each module while nothing but its own package is loaded, which Python always loads first, and what
#: that package itself loads. Dependencies (torch, scipy) are loaded once.
FIRST = """
import importlib, json, pkgutil, sys, traceback

def forget(kept):
    for name in [m for m in sys.modules if m.partition(".")[0] == "peakedtheory" and m not in kept]:
        parent, _, child = name.rpartition(".")
        del sys.modules[name]
        if parent in kept and hasattr(sys.modules[parent], child):
            delattr(sys.modules[parent], child)

tried, failed, packages = [], {}, ["peakedtheory", "peakedtheory.kernels", "peakedtheory.validation"]
for package in packages:
    forget(())
    path = importlib.import_module(package).__path__
    loaded = set(sys.modules)
    tried.append(package)
    for found in pkgutil.iter_modules(path, package + "."):
        if found.ispkg and found.name not in packages:
            packages.append(found.name)
            continue
        forget(loaded)
        tried.append(found.name)
        try:
            importlib.import_module(found.name)
        except Exception:
            failed[found.name] = traceback.format_exc(limit=-1)
print(json.dumps({"tried": tried, "failed": failed}))
"""


def test_every_module_can_be_imported_first():
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-P", "-c", FIRST], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["failed"] == {}
    wanted = {
        "experiments.scans.figures",
        "experiments.schedules.analysis",
        "training.train",
        "language.figures",
    }
    assert {f"peakedtheory.validation.{name}" for name in wanted} <= set(answer["tried"])
    assert {"peakedtheory.kernels.training", "peakedtheory.cli.reproduce"} <= set(answer["tried"])

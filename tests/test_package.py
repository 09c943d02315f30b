"""What is shipped: a wheel built from an sdist holds the three packages and nothing else at top level."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_from_sdist(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"peakedtheory"}
    sources = {
        f"peakedtheory/{'' if top == 'peakedtheory' else top + '/'}{path.relative_to(ROOT / top).as_posix()}"
        for top in ("peakedtheory", "kernels", "validation")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {n for n in names if ".dist-info/" not in n} == sources


def test_links_of_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    local = [t for t in targets if "://" not in t]
    assert local
    assert [t for t in local if not (ROOT / t.split("#")[0]).exists()] == []

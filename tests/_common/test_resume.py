"""One format of resume files, whoever writes them."""

import json

import numpy as np
import pytest

from peakedtheory._common.resume import ResumeFile


def test_a_file_says_what_it_belongs_to(tmp_path):
    path = tmp_path / "run.npz"
    file = ResumeFile(path, "estimate", {"n": 3, "sizes": (1, 2)})
    assert file.left() is None
    assert not file.due()
    file.save({"mean": np.arange(3.0)})
    with np.load(path, allow_pickle=False) as found:
        identity = json.loads(str(found["identity"]))
    assert identity == {"format": 1, "kind": "estimate", "n": 3, "sizes": [1, 2]}
    np.testing.assert_array_equal(file.left()["mean"], np.arange(3.0))
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize(
    ("kind", "identity", "message"),
    [
        (
            "training run",
            {"n": 3},
            "checkpoint: must be a resume file of a training run, got .* of 'estimate'; ",
        ),
        (
            "estimate",
            {"n": 4},
            "checkpoint: must belong to the same estimate, got .*, made with n = 3 and not 4; ",
        ),
        (
            "estimate",
            {"m": 3, "n": 3},
            "checkpoint: must belong to the same estimate, got .*m = None and not 3; ",
        ),
        ("estimate", {}, "checkpoint: must belong to the same estimate, got .*n = 3 and not None; "),
    ],
)
def test_files_of_other_runs_are_refused(tmp_path, kind, identity, message):
    path = tmp_path / "run.npz"
    ResumeFile(path, "estimate", {"n": 3}).save({})
    with pytest.raises(ValueError, match=f"^{message}"):
        ResumeFile(path, kind, identity).left()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 torn", "object", "list", "other"])
def test_files_of_another_kind_are_refused(tmp_path, content):
    path = tmp_path / "run.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, identity=np.array({"object": {}, "list": "[1]", "other": "{}"}[content]))
    with pytest.raises(
        ValueError, match=r"^checkpoint: must be a resume file of an estimate, got [^\n]*; [^\n]*$"
    ):
        ResumeFile(path, "estimate", {}).left()


def test_whether_to_resume_and_where(tmp_path):
    path = tmp_path / "run.npz"
    file = ResumeFile(path, "training run", {})
    file.save({})
    with pytest.raises(ValueError, match="must not exist unless a run is resumed"):
        file.left(resume=False)
    with pytest.raises(ValueError, match="checkpoint: must lie in an existing folder"):
        ResumeFile(tmp_path / "none" / "run.npz", "training run", {})
    nothing = ResumeFile(None, "training run", {})
    nothing.save({})
    assert nothing.left() is None
    assert not nothing.due()

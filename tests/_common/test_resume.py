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
    assert identity == {"format": 2, "kind": "estimate", "n": 3, "sizes": [1, 2]}
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


def saved(path):
    file = ResumeFile(path, "estimate", {"n": 3})
    file.save({"blocks": np.array([4, 64, 40]), "mean": np.linspace(0.0, 1.0, 50)})
    return file


def left_in(file):
    """Return what a file holds, or why it is refused."""
    try:
        return file.left(), ""
    except ValueError as error:
        return None, str(error)


def test_damaged_files_are_refused_or_read_as_they_were(tmp_path):
    """Every tenth truncation, and flips of single bits all over the file."""
    path = tmp_path / "run.npz"
    file = saved(path)
    whole, expected = path.read_bytes(), file.left()
    rng = np.random.default_rng(1)
    torn = [whole[:size] for size in range(0, len(whole), max(len(whole) // 40, 1))]
    flipped = []
    for place in rng.integers(0, len(whole), 150):
        data = bytearray(whole)
        data[place] ^= 1 << rng.integers(8)
        flipped.append(bytes(data))
    refused = 0
    for content in [*torn, *flipped]:
        path.write_bytes(content)
        left, message = left_in(file)
        if message:
            assert message.startswith("checkpoint: must"), message
            assert message.isprintable()
            refused += 1
        else:
            assert all(np.array_equal(left[name], expected[name]) for name in expected)
    assert refused > len(torn) + 50


def test_a_changed_count_is_not_taken_for_the_right_one(tmp_path):
    path = tmp_path / "run.npz"
    file = saved(path)
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **(arrays | {"blocks": np.array([4, 64, 41])}))
    with pytest.raises(ValueError, match=r"checkpoint: must be a resume file .* damaged"):
        file.left()


def test_a_full_disk_loses_neither_the_file_nor_the_run(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    file = saved(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="checkpoint: .* could not be written .No space left on device"):
        file.save({"blocks": np.array([5, 64, 50])})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]

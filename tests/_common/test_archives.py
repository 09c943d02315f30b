"""Files that would be waited for, or fill the memory, are refused before they are opened."""

import os
import zipfile

import numpy as np
import pytest

from peakedtheory import estimate_from_logits, parse_energies
from peakedtheory._common.archives import require_archive


def test_pipes_and_devices_are_refused(tmp_path):
    for suffix in (".npy", ".csv", ".txt"):
        pipe = tmp_path / f"pipe{suffix}"
        os.mkfifo(pipe)
        with pytest.raises(ValueError, match=r"energies: must name a readable file .*no regular file"):
            parse_energies(str(pipe))
    with pytest.raises(ValueError, match=r"logits: must name a readable .*no regular file"):
        estimate_from_logits(str(tmp_path / "pipe.npy"))


def test_an_archive_that_inflates_to_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "logits.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"logits: .* inflates to 3\.1e\+08 bytes"):
        estimate_from_logits(path)


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "sample.npy"
    np.save(path, np.zeros(4))
    path.write_bytes(
        path.read_bytes().replace(b"(4,)", b"(4000000000000,)".ljust(4)).replace(b"            \n", b"\n")
    )
    for call in (lambda: parse_energies(str(path)), lambda: estimate_from_logits(str(path))):
        with pytest.raises(ValueError, match="must name a readable") as caught:
            call()
        assert str(caught.value).isprintable()


def test_archives_that_people_save_are_read(tmp_path):
    path = tmp_path / "logits.npz"
    np.savez_compressed(path, np.zeros((3, 2)))
    require_archive(path)
    assert estimate_from_logits(path).entropy.mean == pytest.approx(np.log(2))

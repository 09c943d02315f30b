"""Reading of TensorBoard: exported scalars, and event files written here from their definition."""

import json
import struct
import zlib

import pytest
from log_files import LOSS, RATE, STEP, is_the_curve, table, write

from peakedtheory.curves.logs.event_files import _masked_crc
from peakedtheory.curves.readers import read_loss_curve


def test_tensorboard_scalars(tmp_path):
    wall = 1.7e9 + STEP
    is_the_curve(
        read_loss_curve(
            write(tmp_path / "s.csv", table("Wall time", "Step", "Value", columns=(wall, STEP, LOSS)))
        ),
        rates=False,
    )
    file = tmp_path / "s.json"
    file.write_text(
        json.dumps([[float(w), int(s), float(v)] for w, s, v in zip(wall, STEP, LOSS, strict=True)])
    )
    is_the_curve(read_loss_curve(file), rates=False)


def crc32c(data):
    """Bit by bit from the definition, reflected polynomial 0x1EDC6F41."""
    remainder = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            top = (remainder & 1) ^ (byte >> bit & 1)
            remainder = (remainder >> 1) ^ (0x82F63B78 if top else 0)
    return remainder ^ 0xFFFFFFFF


def masked(data):
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) % 2**32


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def message(field, content):
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def event(step, *values):
    body = b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + varint(step)
    return body + message(5, b"".join(message(1, value) for value in values))


def plain_scalar(tag, value):
    return message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor_scalar(tag, value):
    packed = b"\x08\x01" + message(2, b"") + message(5, struct.pack("<f", value))
    return message(1, tag.encode()) + message(8, packed)


def tensor_bytes(tag, value):
    return message(1, tag.encode()) + message(8, b"\x08\x02" + message(4, struct.pack("<d", value)))


def event_file(path, events):
    first = b"\x09" + struct.pack("<d", 1.7e9) + message(3, b"brain.Event:2")
    data = b""
    for payload in (first, *events):
        length = struct.pack("<Q", len(payload))
        data += length + struct.pack("<I", masked(length)) + payload + struct.pack("<I", masked(payload))
    path.write_bytes(data)
    return path


def test_check_sum():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4
    for data in (b"", b"123456789", bytes(range(256))):
        assert _masked_crc(data) == masked(data)
    assert _masked_crc(b"123456789") != zlib.crc32(b"123456789")


@pytest.mark.parametrize("scalar", [plain_scalar, tensor_scalar, tensor_bytes])
def test_event_files(tmp_path, scalar):
    histogram = message(1, b"weights") + message(5, b"\x09" + struct.pack("<d", 1.0))
    text = message(1, b"config") + message(8, b"\x08\x07" + message(8, b"hello"))
    events = [
        event(int(s), scalar("train/loss", v), histogram, text) for s, v in zip(STEP, LOSS, strict=True)
    ]
    events += [event(int(s), scalar("train/lr", r)) for s, r in zip(STEP, RATE, strict=True)]
    file = event_file(tmp_path / "events.out.tfevents.17.host", events)
    is_the_curve(read_loss_curve(file))
    is_the_curve(read_loss_curve(tmp_path))
    # A live run: the last record is not complete.
    file.write_bytes(file.read_bytes()[:-7])
    assert read_loss_curve(file).metadata["format"] == "TensorBoard event file"
    file.write_bytes(b"x" + file.read_bytes())
    with pytest.raises(ValueError, match="undamaged"):
        read_loss_curve(file)

"""Scalar summaries of TensorBoard event files, read without TensorBoard.

A file is a sequence of TFRecords (length, masked CRC-32C of the length, payload, checksum of the payload),
each payload an `Event` message in protocol-buffer wire format; only steps, tags and scalars are decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from peakedtheory._common.checks import fail

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: tensor element types that scalars have: field number of the values in TensorProto, struct format.
_FLOAT, _DOUBLE = 1, 2


def scalar_records(path: Path) -> list[dict[str, float]]:
    """Return one `{"step": …, tag: value}` per scalar of the event file, in file order.

    A record cut short at the end of the file, which a live or killed run leaves, ends the reading.

    Raises
    ------
    ValueError
        If the file is not a sequence of TFRecords.
    """
    found = []
    for payload in _payloads(path):
        step, summaries = 0, []
        for number, value in _fields(payload):
            if number == 2 and isinstance(value, int):
                step = value
            elif number == 5 and isinstance(value, bytes):
                summaries.append(value)
        for summary in summaries:
            for number, value in _fields(summary):
                if number == 1 and isinstance(value, bytes):
                    scalar = _scalar(value)
                    if scalar is not None:
                        found.append({"step": float(step), scalar[0]: scalar[1]})
    return found


def _payloads(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    at = 0
    while at + 12 <= len(data):
        length, check = struct.unpack_from("<QI", data, at)
        if _masked_crc(data[at : at + 8]) != check:
            fail(
                "path", "must be an undamaged TensorBoard event file", f"{path} (byte {at})", "copy it again"
            )
        at += 12
        if at + length + 4 > len(data):
            return
        yield data[at : at + length]
        at += length + 4


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value): whole numbers of varints, the raw bytes of everything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            whole, at = _varint(message, at)
            yield key >> 3, whole
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            fail("path", "must hold protocol buffers", f"wire type {kind}", "export the scalars as CSV")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _scalar(summary_value: bytes) -> tuple[str, float] | None:
    """Return tag and value of a `Summary.Value` that is one number, stored plainly or as a tensor."""
    tag, number = "", None
    for field, value in _fields(summary_value):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and isinstance(value, bytes):
            number = struct.unpack("<f", value)[0]
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return None if number is None else (tag, float(number))


def _tensor(tensor: bytes) -> float | None:
    """Return the value of a TensorProto with one float or double element, None for any other tensor."""
    kind, content = 0, b""
    for field, value in _fields(tensor):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field in (4, 5, 6) and isinstance(value, bytes):  # raw content, float_val, double_val
            content += value
    layout = {_FLOAT: "<f", _DOUBLE: "<d"}.get(kind)
    if layout is None or len(content) != struct.calcsize(layout):
        return None
    return struct.unpack(layout, content)[0]


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reflected
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

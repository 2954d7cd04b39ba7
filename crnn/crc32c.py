"""CRC-32C (Castagnoli), the checksum of TensorFlow's files, in NumPy."""

from __future__ import annotations

import functools
import struct
from typing import Union

import numpy as np

_BLOCK = 1024
_POLYNOMIAL = 0x82F63B78  # reflected
_MASK = 0xA282EAD8


def masked_crc(data: Union[bytes, memoryview]) -> int:
    """Return the checksum as TFRecord and LevelDB files hold it.

    Rotated right by 15 bits plus a constant.

    Args:
        data: The bytes.

    Returns:
        The checksum, unsigned 32 bits.
    """
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def crc32c(data: Union[bytes, memoryview]) -> int:
    """Return the CRC-32C (RFC 3720, appendix B.4) of the data.

    A CRC is linear, so a block's is the exclusive or of one table entry a byte, with the state so
    far added to the block's first four bytes.
    """
    tables = _tables()
    state = 0xFFFFFFFF
    values = np.frombuffer(data, dtype=np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].copy()
        head = min(4, len(block))
        block[:head] ^= np.frombuffer(struct.pack("<I", state), dtype=np.uint8)[:head]
        rows = tables[_BLOCK - len(block) :]
        state = int(np.bitwise_xor.reduce(rows[np.arange(len(block)), block])) ^ (state >> 8 * head)
    return state ^ 0xFFFFFFFF


@functools.lru_cache(maxsize=1)
def _tables() -> np.ndarray:
    """Return what a byte at each place of a block adds to the CRC after the block, uint32 (block,
    256).
    """
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(
            np.uint32
        )
    tables = np.empty((_BLOCK, 256), dtype=np.uint32)
    tables[-1] = table
    for place in range(_BLOCK - 2, -1, -1):
        tables[place] = (tables[place + 1] >> 8) ^ table[tables[place + 1] & 255]
    return tables

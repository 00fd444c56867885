"""Traces of a plotly figure, their arrays unpacked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


def decoded(array: Any) -> list[Any]:
    """A plotly array as a list: plain, or packed as base64 with its dtype (and shape)."""
    if isinstance(array, Mapping) and "bdata" in array:
        flat = np.frombuffer(base64.b64decode(array["bdata"]), dtype=np.dtype(str(array["dtype"])).newbyteorder("<"))
        if "shape" in array:
            flat = flat.reshape([int(length) for length in str(array["shape"]).split(",")])
        return list(flat.tolist())
    if array is None or isinstance(array, str | int | float):
        return []
    return list(array.tolist() if hasattr(array, "tolist") else array)


@dataclass
class Trace:
    """One visible trace: its data as given, its places and values, the axes it lies on, its colour."""

    data: Mapping[str, Any]
    x: list[Any]
    y: list[Any]
    xaxis: str
    yaxis: str
    colour: str
    name: str
    legend: bool

    @property
    def kind(self) -> str:
        """The kind of trace; scatter by default."""
        return str(self.data.get("type", "scatter"))

    @property
    def horizontal(self) -> bool:
        """Whether bars lie."""
        return self.data.get("orientation") == "h"

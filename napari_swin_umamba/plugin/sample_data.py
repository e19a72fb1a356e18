"""Sample images that come with the package (``samples/LICENCE.md``: CC0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["crowded_nuclei", "large_nuclei"]

_SAMPLES = Path(__file__).parent / "samples"

LayerData = tuple[Any, dict[str, Any], str]
"""Data, arguments and type of a layer, as napari takes them."""


def large_nuclei() -> list[LayerData]:
    """Large nuclei that do not touch, 360 x 360 pixels."""
    return [_nuclei("nuclei_large.png", "Large nuclei")]


def crowded_nuclei() -> list[LayerData]:
    """Small nuclei, crowded and partly out of focus, 256 x 256 pixels."""
    return [_nuclei("nuclei_crowded.png", "Crowded nuclei")]


def _nuclei(file: str, name: str) -> LayerData:
    import imageio.v3 as imageio

    image = imageio.imread(_SAMPLES / file)
    source = "BBBC038v1, Caicedo et al., Nature Methods 16:1247 (2019)"
    return (
        image,
        {
            "name": name,
            # The micrographs use a small part of their 8 bits.
            "contrast_limits": (int(image.min()), int(image.max())),
            "axis_labels": ("y", "x"),
            "metadata": {"source": source, "licence": "CC0-1.0"},
        },
        "image",
    )

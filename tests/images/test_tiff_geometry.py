"""Labels of TIFF images have their axes and sizes, read by tifffile alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_swin_umamba.images import read_image, read_labels, write_labels

SIZES = {"T": 3, "C": 2, "Z": 4, "Y": 5, "X": 6}


def sizes_by_tifffile(path: Path, axes: str) -> dict[str, float]:
    """Physical sizes in micrometres, straight from the metadata."""
    with tifffile.TiffFile(path) as tif:
        if tif.is_ome:
            pixels: dict[str, Any] = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
            factors = {"µm": 1, "nm": 1e-3, "mm": 1e3}
            units = {axis: factors[pixels[f"PhysicalSize{axis}Unit"]] for axis in axes}
            return {axis: pixels[f"PhysicalSize{axis}"] * units[axis] for axis in axes}
        tags = tif.pages[0].tags
        found = {
            axis: tags[f"{axis}Resolution"].value[1] / tags[f"{axis}Resolution"].value[0]
            for axis in "YX"
        }
        assert tif.imagej_metadata["unit"] in ("um", "µm", "\\u00B5m")
        return found | ({"Z": tif.imagej_metadata["spacing"]} if "Z" in axes else {})


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    axes=st.sampled_from(["YX", "CYX", "ZYX", "TYX", "CZYX", "TZYX", "TCYX", "TCZYX"]),
    steps=st.tuples(*[st.floats(0.05, 20).map(lambda value: round(value, 3))] * 3),
    source=st.sampled_from(["ome", "imagej"]),
    suffix=st.sampled_from([".tif", ".ome.tif"]),
    many=st.booleans(),
    single=st.booleans(),
)
def test_labels_have_the_sizes_of_their_image(
    tmp_path: Path,
    axes: str,
    steps: tuple[float, ...],
    source: str,
    suffix: str,
    many: bool,
    single: bool,
) -> None:
    path = tmp_path / "a.tif"
    stored = axes
    if source == "imagej" and "Z" in axes and "C" in axes:
        stored = axes.replace("CZ", "ZC")  # ImageJ's own order
    sizes = {**SIZES, "Z": 1 if single else SIZES["Z"]}
    shape = tuple(sizes[axis] for axis in stored)
    steps_of = dict(zip("ZYX", steps, strict=True))
    space = [axis for axis in stored if axis in "ZYX"]
    metadata: dict[str, Any] = {"axes": stored}
    options: dict[str, Any] = {}
    if source == "ome":
        metadata |= {f"PhysicalSize{axis}": steps_of[axis] for axis in space}
    else:
        metadata |= {"unit": "um", **({"spacing": steps_of["Z"]} if "Z" in axes else {})}
        options["resolution"] = (1 / steps_of["X"], 1 / steps_of["Y"])
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(
        path, array, photometric="minisblack", metadata=metadata, **{source: True}, **options
    )
    image = read_image(path)
    assert image.unit == "micrometer"
    kept = [size for axis, size in zip(image.axes, image.array.shape, strict=True) if axis != "C"]
    labels = np.arange(np.prod(kept)).reshape(kept) + (70_000 if many else 0)
    written = write_labels(tmp_path / f"l{suffix}", labels, image, overwrite=True)
    assert np.array_equal(read_labels(written), labels)
    names = [axis for axis in image.axes if axis in "ZYX"]
    found = sizes_by_tifffile(written, "".join(names))
    assert found == pytest.approx({axis: steps_of[axis] for axis in names}, rel=1e-4)
    with tifffile.TiffFile(written) as tif:
        assert tif.is_ome == (suffix == ".ome.tif" or many)
        stored_axes = tif.series[0].axes
        assert stored_axes.replace("T", "") in ("YX", "ZYX")
        assert np.array_equal(tif.asarray().reshape(labels.shape), labels)

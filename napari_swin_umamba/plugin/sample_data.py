"""Sample images that come with the package; ``samples/LICENCE.md`` has their licences."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.plugin.image_layer import LayerData

__all__ = ["crowded_nuclei", "hippocampus", "large_nuclei"]

_SAMPLES = Path(__file__).parent / "samples"


def large_nuclei() -> list[LayerData]:
    """Large nuclei that do not touch, 360 x 360 pixels."""
    return [_nuclei("nuclei_large.png", "Large nuclei")]


def crowded_nuclei() -> list[LayerData]:
    """Small nuclei, crowded and partly out of focus, 256 x 256 pixels."""
    return [_nuclei("nuclei_crowded.png", "Crowded nuclei")]


def hippocampus() -> list[LayerData]:
    """Hippocampus in T1-weighted MRI, 34 x 55 x 37 voxels of 1 mm, and what a person drew in it."""
    from napari.utils.colormaps import DirectLabelColormap

    from napari_swin_umamba.plan import default_color
    from napari_swin_umamba.plugin.readers import read_volumes

    files = [_SAMPLES / f"hippocampus_{part}.nii.gz" for part in ("mri", "labels")]
    layers = read_volumes(files)
    for (_, arguments, _), name in zip(layers, ("Hippocampus", "Hippocampus labels"), strict=True):
        arguments["name"] = name
        arguments["metadata"] |= {
            "source": "Medical Segmentation Decathlon, Antonelli et al., "
            "Nature Communications 13:4128 (2022)",
            "licence": "CC-BY-SA-4.0",
        }
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colors |= {value: default_color(value) for value in (1, 2)}
    layers[1][1]["colormap"] = DirectLabelColormap(color_dict=colors)
    layers[1][1]["features"] = {"index": [0, 1, 2], "name": ["background", "anterior", "posterior"]}
    return layers


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

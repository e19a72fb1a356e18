"""A model that the pictures need beside the bundled ones; made in a temporary folder."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.segmentation import Model, load_model


def nuclei_of_half_a_micrometre(folder: Path) -> Path:
    """Save the bundled model as one that says how large the pixels of its training images were.

    Parameters
    ----------
    folder
        For the file.
    """
    bundled = load_model("nuclei")
    plan = bundled.plan.model_copy(update={"spacing": (0.5, 0.5), "unit": "micrometer"})
    file = folder / "nuclei-20x.safetensors"
    return Model(bundled.network, plan, "nuclei-20x", bundled.info).save(file)

"""Models that the pictures need beside the bundled one; made on the spot, in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import tifffile

from napari_swin_umamba.plugin.sample_data import hippocampus
from napari_swin_umamba.segmentation import Model, load_model
from swin_umamba_training.config import make_config
from swin_umamba_training.train import train

STEPS = 400


def hippocampus_model(folder: Path) -> Path:
    """Train for a short time on every second slice of the sample volume; return the file.

    Only for pictures: a model that has seen half of a volume is no proof of anything.

    Parameters
    ----------
    folder
        For the slices and the run.
    """
    (image, *_), (labels, *_) = hippocampus()
    data = folder / "slices"
    for part, volume in (("images", image), ("masks", labels)):
        (data / part).mkdir(parents=True)
        for number in range(0, len(volume), 2):
            tifffile.imwrite(data / part / f"slice_{number:02}.tif", volume[number])
    result = train(
        make_config(
            dataset=data,
            run=folder / "run",
            arch="swin-umamba-d-tiny",
            steps=STEPS,
            patch=(64, 64),
            instances=False,
            class_names=("anterior", "posterior"),
            overrides={
                # Front and back would change places in a mirror.
                "augmentation.mirror": False,
                "augmentation.right_angles": False,
                "augmentation.rotation": 15,
            },
        )
    )
    trained = load_model(result.model)
    info = trained.info.model_copy(update={"licence": "CC-BY-SA-4.0"})
    file = folder / "hippocampus.safetensors"
    return Model(trained.network, trained.plan, "hippocampus", info).save(file)


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

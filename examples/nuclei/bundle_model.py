"""Turn a trained run into the bundled model `nuclei`: name, licence, where it comes from.

    python examples/nuclei/bundle_model.py runs/nuclei/model.safetensors \
        napari_swin_umamba/models/nuclei.safetensors

Scores in the file are those of its training run, on the validation images by which the best
moment of that run was chosen; none of them was trained on. Weights are stored as float16, half
the size; what that changes is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.images import read_image, read_labels
from swin_umamba_training.metrics import dice, instance_f1

UNSEEN = Path(__file__).parent / "unseen"


def bundle(source: Path, target: Path, version: str) -> None:
    """Write the bundled model.

    Parameters
    ----------
    source
        ``model.safetensors`` of a run on the folder that ``prepare_data.py`` makes.
    target
        File to write.
    version
        Version of the model.
    """
    model = load_model(source)
    info = model.info.model_copy(
        update={
            "description": "Nuclei in fluorescence, stained tissue and bright field; "
            "numbers each nucleus. Provisional: a small network, shortly trained.",
            "version": version,
            "licence": "CC0-1.0",
            "data": "2018 Data Science Bowl stage 1 training images (BBBC038v1, CC0), without "
            "the twelve images of examples/nuclei and the other tiles of their fields",
        }
    )
    dataclasses.replace(model, name="nuclei", info=info).save(target, torch.float16)


def score(path: Path) -> str:
    """Mean F1 and DSC on the demo's four unseen images, which no bundled model is trained on."""
    model = load_model(path)
    f1, dsc = [], []
    for file in sorted((UNSEEN / "images").iterdir()):
        labels = segment(read_image(file), model).labels
        truth = read_labels(UNSEEN / "masks" / file.name)
        f1.append(instance_f1(labels, truth).f1)
        dsc.append(dice(labels > 0, truth > 0))
    return f"F1 {np.mean(f1):.4f}, DSC {np.mean(dsc):.4f} on the demo's four unseen images"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, help="model.safetensors of a run")
    parser.add_argument("target", type=Path, help="nuclei.safetensors")
    parser.add_argument("--model-version", default="0.1", help="version of the model")
    options = parser.parse_args()
    bundle(options.source, options.target, options.model_version)
    for path in (options.source, options.target):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB): {score(path)}")

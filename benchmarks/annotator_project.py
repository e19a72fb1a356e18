"""A simulated annotator: a project of hippocampus volumes, and strokes drawn from the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accuracy_data import draw_strokes
from scipy import ndimage

from napari_swin_umamba.images import read_image
from napari_swin_umamba.project import Project, Slice
from napari_swin_umamba.project.open_slices import block_length
from napari_swin_umamba.project.roles import Role

__all__ = ["Annotator", "scored_files"]

HELD_OUT_EVERY = 3
"""Of a held-out volume, each third slice is painted."""
_HAND = 1  # pixels that the annotator's hand is off by at most
_NOBODY = 3  # what draw_strokes leaves unpainted


@dataclass(frozen=True)
class Annotator:
    """Paints slices of a project.

    Held-out volumes are painted at once, alike for all ways to choose slices: they tell which
    moment of a training is the best.
    """

    project: Project
    truth: dict[str, np.ndarray]
    """``(Z, Y, X)`` by the id of an image."""
    seed: int

    @classmethod
    def begin(cls, data: Path, folder: Path, seed: int, volumes: int, held_out: int) -> Annotator:
        """Make a project.

        Parameters
        ----------
        data
            Folder that holds ``hippocampus``.
        folder
            Of the project; new.
        seed
            Draws the volumes.
        volumes
            How many slices are chosen from.
        held_out
            How many more are held out.
        """
        source = data / "hippocampus"
        cases = json.loads((source / "splits.json").read_text())[0]["train"]
        drawn = np.random.default_rng(seed).permutation(len(cases))[: volumes + held_out]
        project, truth = Project.create(folder, "semantic", ["anterior", "posterior"]), {}
        for case in (cases[index] for index in drawn):
            file = source / "imagesTr" / f"{case}_0000.nii.gz"
            added = project.add_image([file], read_image(file), name=case, slice_axis="Z")
            labels = read_image(source / "labelsTr" / f"{case}.nii.gz").array
            truth[added.id] = np.asarray(labels).round().astype(np.uint8)
        roles: dict[tuple[str, int], Role] = {}
        for number, image in enumerate(project.images):
            blocks = -(-block_length(image) // project.roles.block)
            role: Role = "train" if number < volumes else "held_out"
            roles.update({(image.id, block): role for block in range(blocks)})
        project.save_roles(project.roles.assigned(roles))
        made = cls(project, truth, seed)
        for image in project.images[volumes:]:
            places = range(0, block_length(image), HELD_OUT_EVERY)
            made.paint([(image.id, (place,)) for place in places])
        return made

    def paint(self, slices: list[Slice]) -> int:
        """Paint slices; return the number of pixels.

        The hand is off by a pixel at most, the same way all over a slice.

        Parameters
        ----------
        slices
            Which. A slice is painted the same way whenever its turn comes.
        """
        pixels = 0
        for image_id, (place,) in slices:
            image = [one.id for one in self.project.images].index(image_id)
            rng = np.random.default_rng([self.seed, image, place])
            truth = self.truth[image_id][place]
            moved = ndimage.shift(
                truth, rng.integers(-_HAND, _HAND + 1, 2), order=0, mode="nearest"
            )
            strokes = draw_strokes(moved, rng)
            painted = np.where(strokes == _NOBODY, 0, strokes + 1).astype(np.uint8)
            self.project.annotation(image_id).write((place,), painted)
            pixels += int((painted > 0).sum())
        return pixels


def scored_files(data: Path, most: int | None = None) -> list[tuple[Path, Path]]:
    """Image and true labels of the volumes that models are scored on.

    Parameters
    ----------
    data
        Folder that holds ``hippocampus``.
    most
        How many at most; None: all.
    """
    source = data / "hippocampus"
    cases = json.loads((source / "splits.json").read_text())[0]["val"][:most]
    return [
        (source / "imagesTr" / f"{case}_0000.nii.gz", source / "labelsTr" / f"{case}.nii.gz")
        for case in cases
    ]

"""Labels that exist already become annotation: which images they belong to, and the work itself.

Without Qt. What the person painted stays as it is: only what is unlabelled changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_labels, stem_of
from napari_swin_umamba.plugin.annotate.accepting import Meaning, accepted
from napari_swin_umamba.plugin.annotate.touched import slice_index
from napari_swin_umamba.plugin.worker import Channel, Progress
from napari_swin_umamba.project import FIRST_CLASS, ImageReference, Project

__all__ = ["Found", "LabelSource", "image_for", "import_labels", "look_at_labels"]

MOST_CLASSES = 64
"""Different values that labels of classes may have; more are numbers of objects."""
_ADDED = re.compile(
    r"[_.\- ]?(labels?|labelmap|masks?|segmentation|seg|dseg|gt|annotations?)$", re.IGNORECASE
)
_CHANNEL = re.compile(r"_\d{4}$")


@dataclass(frozen=True)
class LabelSource:
    """Labels of one image."""

    image_id: str
    name: str
    file: Path | None = None
    data: Any = None
    """The array of a layer, where there is no file."""

    def read(self, image: ImageReference) -> np.ndarray:
        """Return the labels on the image's grid.

        Raises
        ------
        InputError
            The file holds no labels, or labels of another size.
        """
        labels = read_labels(self.file) if self.file is not None else np.asarray(self.data)
        if labels.shape != image.label_shape:
            sizes = " x ".join(str(size) for size in labels.shape)
            wanted = " x ".join(str(size) for size in image.label_shape)
            raise InputError(
                f"{self.file or self.name} holds labels of {sizes} pixels, but '{image.name}' has "
                f"{wanted}; choose the labels of this image"
            )
        if labels.dtype.kind not in "bui" or labels.min(initial=0) < 0:
            raise InputError(f"{self.file or self.name} holds {labels.dtype}, not labels")
        return labels


@dataclass(frozen=True)
class Found:
    """What labels hold."""

    values: tuple[int, ...]
    """All that occur but 0, ascending."""
    names: Mapping[int, str]
    """Names that their file has for them."""


def image_for(file: Path, images: Sequence[ImageReference]) -> ImageReference | None:
    """Find the image that a file of labels belongs to, by its name.

    ``case_0000.nii.gz`` and ``case.nii.gz`` belong together, as in nnU-Net, and so do ``cell.png``
    and ``cell_mask.png``.

    Parameters
    ----------
    file
        Of labels.
    images
        Of the project.
    """
    stem = stem_of(file)
    names = {stem.casefold(), _ADDED.sub("", stem).casefold()}
    for image in images:
        known = {image.name, *(stem_of(Path(one.path)) for one in image.files)}
        known |= {_CHANNEL.sub("", name) for name in known}
        # A copy in the project has the image's id before its name.
        known |= {name.removeprefix(f"{image.id}-") for name in known}
        if names & {name.casefold() for name in known}:
            return image
    return None


def look_at_labels(project: Project, sources: Sequence[LabelSource], channel: Channel) -> Found:
    """Find out which values labels have.

    Raises
    ------
    InputError
        One holds no labels, or labels of another size.
    """
    from napari_swin_umamba.images.itk_header import read_segments

    values: set[int] = set()
    names: dict[int, str] = {}
    for number, source in enumerate(sources):
        channel.stop_if_asked()
        channel.report(Progress(f"Looking at {source.name}…", number / len(sources)))
        labels = source.read(project.image(source.image_id))
        values.update(int(value) for value in np.unique(labels))
        if source.file is not None and source.file.is_file():
            names |= {one.value: one.name for one in read_segments(source.file)}
    return Found(tuple(sorted(values - {0})), names)


def import_labels(
    project: Project,
    sources: Sequence[LabelSource],
    becomes: Mapping[int, int] | None,
    background: bool,
    channel: Channel,
) -> int:
    """Write labels into the annotation of their images; return how many slices changed.

    Parameters
    ----------
    project
        Held by whoever edits it.
    sources
        The labels.
    becomes
        Value -> id in the project; None: values number objects.
    background
        0 is background, and slices are complete then; otherwise it is unlabelled.
    channel
        To report to.

    Raises
    ------
    InputError
        A file cannot be read, or the disk refuses a slice.
    """
    changed = 0
    for number, source in enumerate(sources):
        image = project.image(source.image_id)
        labels = source.read(image)
        annotation = project.annotation(image.id)
        meaning = Meaning(becomes or {})
        if becomes is None:
            meaning = Meaning(_new_numbers(labels, annotation), values_are_objects=True)
        for position in annotation.positions():
            channel.stop_if_asked()
            channel.report(Progress(f"Importing {source.name}…", number / len(sources)))
            here = labels[slice_index(image, position)]
            if not background and not here.any():
                continue
            painted = annotation.read(position)
            taken = accepted(painted, here, meaning, background=background)
            if not np.array_equal(painted, taken):
                annotation.write(position, taken)
                changed += 1
            if background and taken.all():
                annotation.set_complete(position)
    return changed


def _new_numbers(labels: np.ndarray, annotation: Any) -> dict[int, int]:
    """Give every object a number that none of the annotation has."""
    first = FIRST_CLASS
    for position in annotation.painted():
        first = max(first, int(annotation.read(position).max()) + 1)
    values = [int(value) for value in np.unique(labels) if value]
    return {value: first + place for place, value in enumerate(values)}

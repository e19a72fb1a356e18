"""One image of a project and its annotation: read in a thread, then made into layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import hash_file
from napari_swin_umamba.plugin.annotate.annotation_layer import AnnotationLayer
from napari_swin_umamba.plugin.annotate.image_files import layer_data
from napari_swin_umamba.plugin.annotate.stored_annotation import StoredAnnotation, read_annotation
from napari_swin_umamba.plugin.worker import Channel
from napari_swin_umamba.project import Annotation, ImageReference, Settings
from napari_swin_umamba.project.annotation import Position

__all__ = ["OpenImage", "ReadImage", "make_layers", "read_image"]

_MOST_READ = 256 << 20
"""Bytes up to which a file is compared with what it was."""


@dataclass(eq=False)
class OpenImage:
    """One image and its annotation as layers."""

    reference: ImageReference
    image_layer: Image
    annotation: AnnotationLayer
    is_ours: bool
    """The image layer was made here, not opened by the person."""
    changed: str = ""
    """A file that is not what it was when the image was added."""


@dataclass(frozen=True)
class ReadImage:
    """What was read of an image, before there are layers of it."""

    reference: ImageReference
    layer: Any
    """The person's own layer, or data and arguments of a new one."""
    data: np.ndarray
    stored: StoredAnnotation
    changed: str = ""
    """A file that is not what it was when the image was added."""


def read_image(
    save: Callable[[], None],
    reference: ImageReference,
    layer: Image | None,
    files: tuple[Path, ...],
    annotation: Annotation,
    dtype: np.dtype[Any],
    channel: Channel,
) -> ReadImage:
    """Read an image and what was painted on it; for a thread.

    Parameters
    ----------
    save
        Has all strokes on disk when it returns.
    reference
        Which image.
    layer
        The person's own layer of it; None: it is read from its files.
    files
        Where it lies now.
    annotation
        What was painted.
    dtype
        Of the annotation's array.
    channel
        Tells whether to stop.

    Raises
    ------
    InputError
        A file is missing or damaged, or the disk refuses what was painted before.
    """
    shown: Any = layer if layer is not None else layer_data(files, reference)
    channel.stop_if_asked()
    save()
    data, stored = read_annotation(annotation, dtype)
    return ReadImage(reference, shown, data, stored, _changed(files, reference))


def make_layers(read: ReadImage, settings: Settings, read_only: bool) -> OpenImage:
    """Make layers, which are in no viewer yet.

    Parameters
    ----------
    read
        What they show.
    settings
        Of the project: its classes.
    read_only
        Nothing can be painted.
    """
    is_ours = isinstance(read.layer, tuple)
    if is_ours:
        data, arguments, _ = read.layer
        layer = Image(data, **arguments)
    else:
        layer = read.layer
    annotation = AnnotationLayer(layer, read.data, read.stored, settings, _ignore, read_only)
    return OpenImage(read.reference, layer, annotation, is_ours, read.changed)


def _changed(files: Sequence[Path], reference: ImageReference) -> str:
    """A file of another size or content; that of large ones is not read for this."""
    with suppress(OSError, InputError):
        for path, known in zip(files, reference.files, strict=False):
            size = path.stat().st_size
            if size != known.size or (size <= _MOST_READ and hash_file(path) != known.sha256):
                return str(path)
    return ""


def _ignore(_changed: Iterable[Position] | None) -> None:
    """Before the layer is known to its project nothing has changed."""

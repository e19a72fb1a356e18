"""A data set for training: a folder with ``images/`` and ``masks/``, checked before any work.

    DATASET/
      images/  case1.png  case2.tif ...
      masks/   case1.png  case2.png ...     same names, whatever the suffix

Everything is read once at the start, so that what is wrong with a file is said before the
first step and not after an hour; a training run then reads images as it needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import (
    IMAGE_AXES,
    Image,
    channels_first,
    read_image,
    read_labels,
)
from swin_umamba_training.folders import files_by_name
from swin_umamba_training.targets import (
    MIN_OBJECT_PIXELS,
    MaskSummary,
    are_instances,
    class_values,
    summarize_mask,
)

__all__ = ["Dataset", "Sample", "check_objects", "read_pair", "scan_dataset", "split"]


@dataclass(frozen=True)
class Sample:
    """An image and its mask."""

    name: str
    image: Path
    mask: Path
    shape: tuple[int, int] = (0, 0)
    objects: int = 0
    """Foreground values in the mask."""
    small: int = 0
    """Of these, the ones that are too small for an object."""


@dataclass(frozen=True)
class Dataset:
    """What a data set holds, without its pixels."""

    path: Path
    samples: tuple[Sample, ...]
    instances: bool
    """Masks number objects; otherwise their values are classes."""
    values: tuple[int, ...]
    """Semantic masks: position i holds the mask value of class i."""
    channels: int
    """Channels of the images; 3 if some are RGB and others grey."""
    rgb: bool
    spacing: tuple[float, float] | None
    """Median row and column spacing, where all images know theirs."""
    unit: str | None
    notes: tuple[str, ...] = field(default=())
    """What was assumed or left out, for people."""


def scan_dataset(path: Path, instances: bool | None = None) -> Dataset:
    """Read and check every image and mask of a data set.

    Parameters
    ----------
    path
        Folder with ``images/`` and ``masks/``.
    instances
        Whether masks number objects; None: decide from what they hold.

    Raises
    ------
    InputError
        Names the file that cannot be used, or what the folder lacks.
    """
    samples, notes = _pair_files(path)
    heads: list[_Head] = []
    summaries: list[MaskSummary] = []
    checked = []
    for sample in samples:
        image, mask = read_pair(sample)
        summary = summarize_mask(sample.mask.name, mask)
        summaries.append(summary)
        checked.append(
            replace(sample, shape=mask.shape, objects=summary.labels, small=summary.small)
        )
        heads.append(_look_at(image))
    channels, rgb = _common_channels(heads)
    _check_values(path, summaries)
    if instances is None:
        instances = are_instances(summaries)
        notes.append(_describe(summaries, instances))
    values = () if instances else class_values(summaries)
    if values and values != tuple(range(len(values))):
        notes.append(f"mask values {_listed(values)} are taken as classes 0…{len(values) - 1}")
    spacing, unit = _common_spacing(heads)
    return Dataset(
        path, tuple(checked), instances, values, channels, rgb, spacing, unit, tuple(notes)
    )


def _pair_files(path: Path) -> tuple[list[Sample], list[str]]:
    """Images with a mask of the same name, in the order of their names."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise InputError(
            f"the data set {path} {what}; give a folder with images/ and masks/ (DATASET)"
        )
    files = {}
    for part in ("images", "masks"):
        if not (path / part).is_dir():
            raise InputError(f"the data set {path} has no folder {part}/; put the {part} there")
        files[part] = files_by_name(path / part)
    images, masks = files["images"], files["masks"]
    orphans = sorted(masks.keys() - images.keys())
    if orphans:
        raise InputError(
            f"{masks[orphans[0]]} has no image of the same name in {path / 'images'} "
            f"({len(orphans)} of {len(masks)} masks); rename or move it"
        )
    if not masks:
        raise InputError(
            f"the data set {path} has no masks; put a PNG or TIFF for each image in masks/"
        )
    unpainted = sorted(images.keys() - masks.keys())
    notes = [f"{len(unpainted)} images have no mask and are left out"] if unpainted else []
    return [Sample(name, images[name], masks[name]) for name in sorted(masks)], notes


def read_pair(sample: Sample) -> tuple[Image, NDArray[np.integer]]:
    """Read an image and its mask, which must be of one size."""
    image = read_image(sample.image)
    if image.axes not in IMAGE_AXES:
        raise InputError(
            f"{sample.image} has axes {image.axes} and shape {image.array.shape}; training takes "
            "2D images: save planes of it as files"
        )
    mask = read_labels(sample.mask)
    size = channels_first(image.array, image.axes).shape[1:]
    if mask.shape != size:
        raise InputError(
            f"the mask {sample.mask} is {_pixels(mask.shape)} pixels, "
            f"its image {sample.image.name} {_pixels(size)}; they must be of one size"
        )
    return image, mask


@dataclass(frozen=True)
class _Head:
    """What is kept of an image that was looked at."""

    path: Path | None
    channels: int
    colour: bool
    spacing: tuple[float, ...] | None
    unit: str | None


def _look_at(image: Image) -> _Head:
    """Check an image's values, and count its channels; transparency is none."""
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).all():
        bad = int((~np.isfinite(image.array)).sum())
        raise InputError(f"{image.path}: {bad:,} values are NaN or infinite; replace them")
    channels = len(channels_first(image.array, image.axes))
    colour = image.axes == "YXC"
    return _Head(
        image.path, min(channels, 3) if colour else channels, colour, image.spacing, image.unit
    )


def _common_channels(heads: Sequence[_Head]) -> tuple[int, bool]:
    """Channels that all images have, and whether they are colours; grey ones may join these."""
    colour = [head for head in heads if head.colour]
    if colour and all(head.colour or head.channels == 1 for head in heads):
        return 3, True
    first = heads[0]
    other = next(
        (h for h in heads if (h.channels, h.colour) != (first.channels, first.colour)), None
    )
    if other is not None:
        raise InputError(
            f"images differ in their channels: {first.path} has {_channels(first)}, "
            f"{other.path} has {_channels(other)}; give all the same"
        )
    return first.channels, False


def _channels(head: _Head) -> str:
    return "colours" if head.colour else f"{head.channels} channel{'s' * (head.channels > 1)}"


def _check_values(path: Path, summaries: Sequence[MaskSummary]) -> None:
    values = {value for summary in summaries for value in summary.values}
    if len(values) == 1:
        raise InputError(
            f"every mask in {path / 'masks'} holds only the value {values.pop()}: "
            "there is nothing to tell apart; paint at least one object and some background (0)"
        )


def _describe(summaries: Sequence[MaskSummary], instances: bool) -> str:
    if instances:
        most = max(summary.labels for summary in summaries)
        return f"masks number objects, up to {most} in one (if not so: --semantic)"
    return "mask values are classes (if they number objects: --instances)"


def _common_spacing(heads: Sequence[_Head]) -> tuple[tuple[float, float] | None, str | None]:
    """Median spacing of the images, if all know it in one unit."""
    spacings = [head.spacing for head in heads if head.spacing is not None]
    units = {head.unit for head in heads}
    if len(spacings) < len(heads) or len(units) > 1:
        return None, None
    row, column = np.median(np.asarray(spacings, float), axis=0)
    return (float(row), float(column)), units.pop()


def _pixels(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)


def _listed(values: Sequence[int], limit: int = 6) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return shown + (", …" if len(values) > limit else "")


def split(
    samples: Sequence[Sample], val: Sequence[str], fraction: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Part a data set into training and validation images.

    Parameters
    ----------
    samples
        All images.
    val
        Names of the validation images, or text files that list one name per line. If empty,
        images are drawn.
    fraction
        Share to draw, at least one image; 0 for none.
    seed
        Decides which are drawn.

    Returns
    -------
    tuple
        Training samples, validation samples, both in the order given.

    Raises
    ------
    InputError
        A name is unknown, or no image is left to train on.
    """
    known = {sample.name for sample in samples}
    # "a3.png" is as clear as "a3"
    names = {name if name in known else Path(name).stem for name in _listed_names(val)}
    unknown = sorted(names - known)
    if unknown:
        raise InputError(f"no image named '{unknown[0]}' in the data set (--val)")
    if not val and fraction > 0:
        if len(samples) < 2:
            raise InputError(
                "one image cannot be split into training and validation; add a second one, "
                "or train without validation (--val-fraction 0)"
            )
        count = min(max(1, round(fraction * len(samples))), len(samples) - 1)
        drawn = np.random.default_rng([seed, 0]).choice(len(samples), count, replace=False)
        names = {samples[index].name for index in drawn}
    training = tuple(sample for sample in samples if sample.name not in names)
    if not training:
        raise InputError("all images are held out for validation, none is left to train on (--val)")
    return training, tuple(sample for sample in samples if sample.name in names)


def _listed_names(val: Sequence[str]) -> set[str]:
    names: set[str] = set()
    for entry in val:
        if entry.endswith(".txt"):
            try:
                lines = Path(entry).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"cannot read the list {entry} (--val): {error}") from error
            names.update(line.strip() for line in lines if line.strip())
        else:
            names.add(entry)
    return names


def check_objects(training: Sequence[Sample], validation: Sequence[Sample]) -> tuple[str, ...]:
    """See that numbered objects are large enough to learn from, and say which are left out.

    Parameters
    ----------
    training, validation
        Samples whose masks number objects.

    Returns
    -------
    tuple of str
        Notes for people: how many objects are dropped, and whether any is left to validate with.

    Raises
    ------
    InputError
        No training image holds an object that is large enough.
    """
    objects = sum(sample.objects for sample in training)
    if objects == 0:
        raise InputError(
            "no training image holds an object, all are in validation images; "
            "choose these with --val, or paint more masks"
        )
    if objects == sum(sample.small for sample in training):
        raise InputError(
            f"none of the {objects:,} objects in the training images has {MIN_OBJECT_PIXELS} "
            "pixels or more, so there is nothing to learn; enlarge images and masks, or train "
            "on classes (--semantic)"
        )
    everything = (*training, *validation)
    notes = []
    if small := sum(sample.small for sample in everything):
        total = sum(sample.objects for sample in everything)
        notes.append(
            f"{small:,} of {total:,} objects have fewer than {MIN_OBJECT_PIXELS} pixels "
            "and are left out"
        )
    if validation and all(sample.objects == sample.small for sample in validation):
        notes.append("the validation images hold no object to find: their F1 says little")
    return tuple(notes)

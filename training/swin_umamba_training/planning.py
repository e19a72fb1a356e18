"""From a data set and a configuration to the plan that is trained by."""

from __future__ import annotations

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import ARCHITECTURES, BASELINES
from napari_swin_umamba.plan import PATCH_MULTIPLE, Channel, Normalization, Plan
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.fingerprint import Fingerprint, default_patch, normalization_for
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.output_classes import output_classes
from swin_umamba_training.project_classes import Aligned

__all__ = ["check_architecture", "make_plan"]

DEFAULT_ARCHITECTURE = "swin-umamba-d"
_MEANT = 0.05
"""Share of the objects from which on their holes or bends are meant, not slips of the brush."""


def make_plan(dataset: Dataset, config: TrainConfig, aligned: Aligned | None = None) -> Plan:
    """Decide how images become network input, and what comes out.

    Parameters
    ----------
    dataset
        Channels, classes and sizes.
    config
        What was asked for.
    aligned
        Plan of the model to start from: its channels and their normalisation are kept if they are
        as many, and its classes keep their ids.

    Raises
    ------
    InputError
        What was asked for does not fit the data or the start model.
    """
    assert dataset.fingerprint is not None
    start = aligned.plan if aligned else None
    return Plan(
        architecture=_architecture(config, start),
        channels=_channels(dataset, config, start),
        rgb=start.rgb if start and _takes_channels(dataset, start) else dataset.rgb,
        classes=output_classes(dataset, config, aligned),
        patch=config.patch or _patch(_shape(dataset, config), start),
        overlap=_overlap(config, start),
        spacing=dataset.spacing,
        unit=dataset.unit,
        plane=config.plane,
        output=config.recipe.targets.instances if dataset.instances else "semantic",
        resample=config.spacing is not None,
        fill_holes=dataset.fingerprint.holed_objects <= _MEANT * dataset.fingerprint.objects,
        convex_objects=dataset.fingerprint.bent_objects <= _MEANT * dataset.fingerprint.objects,
        object_diameter=_object_diameter(dataset),
        mirror_axes=(0, 1) if _mirrors(dataset, config) else (),
    )


def _patch(shape: tuple[int, int], start: Plan | None) -> tuple[int, int]:
    """That of the start model, but no larger than the slices: what lies around them costs as much.

    A model that was trained on images with zeros around them goes on so.
    """
    if start is None:
        return default_patch(shape)
    if start.pad_to_patch:
        return start.patch
    height, width = (
        min(own, -(-size // PATCH_MULTIPLE) * PATCH_MULTIPLE)
        for own, size in zip(start.patch, shape, strict=True)
    )
    return height, width


def _overlap(config: TrainConfig, start: Plan | None) -> float:
    """That of the start model where tiles are as it has them; it was found out for these."""
    if start is not None and config.patch in (None, start.patch):
        return start.overlap
    return float(Plan.model_fields["overlap"].default)


def _mirrors(dataset: Dataset, config: TrainConfig) -> bool:
    """Whether the network learns from mirrored images too, so that it knows them.

    The same before and after ``with_orientation``: a run that goes on has it settled.
    """
    assert dataset.fingerprint is not None
    augmentation = config.recipe.augmentation
    volumes = dataset.fingerprint.plane is not None
    fixed = augmentation.orientation == "fixed" or (augmentation.orientation == "auto" and volumes)
    return augmentation.mirror and not fixed


def _shape(dataset: Dataset, config: TrainConfig) -> tuple[int, int]:
    """Median rows and columns of a slice as it is trained on."""
    assert dataset.fingerprint is not None
    if config.spacing is None:
        return dataset.fingerprint.shape
    rows, columns = np.median([sample.shape for sample in dataset.samples], axis=0)
    return round(float(rows)), round(float(columns))


def _object_diameter(dataset: Dataset) -> float | None:
    """Median diameter of the objects, in pixels of the prepared slices."""
    found = dataset.fingerprint
    assert found is not None
    if found.object_diameter is None:
        return None
    if found.spacing is None or dataset.spacing is None:
        return round(found.object_diameter, 1)
    own, wanted = found.spacing, dataset.spacing
    return round(found.object_diameter * ((own[0] * own[1]) / (wanted[0] * wanted[1])) ** 0.5, 1)


def check_architecture(name: str) -> None:
    """Refuse a network that does not exist.

    Parameters
    ----------
    name
        As given with ``--arch``.

    Raises
    ------
    InputError
        Lists the names there are.
    """
    known = (*ARCHITECTURES, *BASELINES)
    if name not in known:
        raise InputError(f"unknown network '{name}': use one of {', '.join(known)} (--arch)")


def _architecture(config: TrainConfig, start: Plan | None) -> str:
    name = config.arch or (start.architecture if start else DEFAULT_ARCHITECTURE)
    check_architecture(name)
    if start and name != start.architecture:
        raise InputError(
            f"the start model is a {start.architecture}, not a {name}: leave out --arch, "
            "or choose another model (--init)"
        )
    return name


def _channels(dataset: Dataset, config: TrainConfig, start: Plan | None) -> tuple[Channel, ...]:
    assert dataset.fingerprint is not None
    if start is not None and _takes_channels(dataset, start):
        if config.normalization == "auto":
            return start.channels
        last = len(dataset.fingerprint.channels) - 1  # grey images have one for three
        return tuple(
            item.model_copy(
                update={
                    "normalization": _normalization(dataset.fingerprint, min(index, last), config)
                }
            )
            for index, item in enumerate(start.channels)
        )
    return tuple(
        Channel(name=name, normalization=_normalization(dataset.fingerprint, index, config))
        for index, name in enumerate(dataset.channel_names)
    )


def _normalization(fingerprint: Fingerprint, channel: int, config: TrainConfig) -> Normalization:
    if config.normalization == "auto":
        return normalization_for(fingerprint, channel)
    if config.normalization != "ct":
        return Normalization(scheme=config.normalization)
    stats = fingerprint.channels[channel]
    if stats.low >= stats.high:
        raise InputError(
            f"channel '{stats.name}' has one intensity only ({stats.low:g}), which gives no scale "
            "(--normalization ct)"
        )
    return Normalization(
        scheme="ct", lower=stats.low, upper=stats.high, mean=stats.mean, std=stats.std
    )


def _takes_channels(dataset: Dataset, start: Plan) -> bool:
    """Whether a model takes the images as they are."""
    fits = dataset.channels == start.in_channels and (start.rgb or not dataset.rgb)
    return fits or (start.rgb and dataset.channels == 1)

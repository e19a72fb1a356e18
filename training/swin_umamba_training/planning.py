"""From a data set and a configuration to the plan and the network that are trained."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from pydantic import JsonValue

from napari_swin_umamba.checkpoints import (
    LoadReport,
    LocalWeights,
    Model,
    fetch_weights,
    load_imagenet,
    load_model,
)
from napari_swin_umamba.checkpoints.download import OnProgress
from napari_swin_umamba.checkpoints.imagenet import check_takes_imagenet
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import ARCHITECTURES, BASELINES, build_network
from napari_swin_umamba.plan import (
    Channel,
    Normalization,
    Plan,
    SegmentationClass,
)
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.fingerprint import Fingerprint, default_patch, normalization_for
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.project_classes import Aligned, align_with_project
from swin_umamba_training.transfer import merge_classes, take_weights

__all__ = ["Start", "check_architecture", "class_ids", "class_names", "make_plan", "prepare_start"]

DEFAULT_ARCHITECTURE = "swin-umamba-d"
_MEANT = 0.05
"""Share of the objects from which on their holes are meant, and not slips of the brush."""


@dataclass
class Start:
    """Where a run begins."""

    network: torch.nn.Module
    """With deep supervision."""
    plan: Plan
    notes: tuple[str, ...]
    """What was taken from the start weights and what not, for people."""
    origin: dict[str, JsonValue] = field(default_factory=dict)
    """The same about downloaded weights, for the model's record; empty without them."""


def prepare_start(
    dataset: Dataset, config: TrainConfig, on_download: OnProgress | None = None
) -> Start:
    """Build the plan and a network with its first weights.

    Weights are drawn from torch's global random state, which the caller seeds.

    Parameters
    ----------
    dataset
        What is learned.
    config
        ``arch``, ``init``, ``patch`` and the like.
    on_download
        Called while start weights are downloaded, if they are.

    Raises
    ------
    InputError
        The start model is unknown, is another network, or takes other channels; ImageNet weights
        do not fit the network, or their file is not the published one.
    DownloadError
        ImageNet weights are not here and cannot be downloaded.
    """
    model = None if config.init in ("none", "imagenet") else _load_init(config.init)
    aligned = align_with_project(model.plan, model.info, dataset) if model else None
    plan = make_plan(dataset, config, aligned)
    local = None
    if config.init == "imagenet":
        check_takes_imagenet(plan.architecture)
        local = fetch_weights(accept_hash=config.accept_hash, on_progress=on_download)
    network = build_network(
        plan.architecture, plan.in_channels, plan.num_classes, deep_supervision=True
    )
    if local is not None:
        report = load_imagenet(network, local.path)
        return Start(network, plan, _imagenet_notes(local, report), _origin(local, report))
    if model is None or aligned is None:
        return Start(network, plan, ())
    return Start(network, plan, take_weights(network, plan, model, aligned.plan))


def _imagenet_notes(local: LocalWeights, report: LoadReport) -> tuple[str, ...]:
    notes = [f"encoder starts from {local.published.title}: {report}"]
    notes += [f"{name} adapted: {how}" for name, how in report.adapted.items()]
    if not local.verified:
        notes.append(f"{local.path} is not the published file (--accept-hash): {local.sha256}")
    return tuple(notes)


def _origin(local: LocalWeights, report: LoadReport) -> dict[str, JsonValue]:
    return {
        "name": local.published.name,
        "title": local.published.title,
        "file": local.path.name,
        "sha256": local.sha256,
        "verified": local.verified,
        "source": local.published.published_url,
        "licence": local.published.licence,
        "loaded": len(report.loaded),
        "adapted": dict(report.adapted),
        "skipped": dict(report.skipped),
        "drawn": len(report.drawn),
    }


def _load_init(init: str) -> Model:
    try:
        model = load_model(init)
    except InputError as error:
        # The loader names the flag of the other commands.
        message = str(error).replace(" (--model)", "")
        raise InputError(f"--init: {message}") from error
    if model.plan.folds > 1:
        raise InputError(
            f"--init: {init} is {model.plan.folds} networks, one of each fold; make a model of one "
            "with 'swin-umamba models import --folds 0'"
        )
    return model


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
        classes=_classes(dataset, config, aligned),
        patch=config.patch or (start.patch if start else default_patch(_shape(dataset, config))),
        spacing=dataset.spacing,
        unit=dataset.unit,
        plane=config.plane,
        output=config.recipe.targets.instances if dataset.instances else "semantic",
        resample=config.spacing is not None,
        fill_holes=dataset.fingerprint.holed_objects <= _MEANT * dataset.fingerprint.objects,
        object_diameter=_object_diameter(dataset),
        mirror_axes=(0, 1) if _mirrors(dataset, config) else (),
    )


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


def _classes(
    dataset: Dataset, config: TrainConfig, aligned: Aligned | None
) -> tuple[SegmentationClass, ...]:
    names = class_names(dataset, config)
    colors = [""] * len(names)
    if dataset.classes and not dataset.instances:
        colors = ["", *(item.color for item in dataset.classes[1:])]
    classes = tuple(
        SegmentationClass(id=index, name=name, color=color)
        for index, (name, color) in enumerate(zip(names, colors, strict=True))
    )
    if aligned is not None and not dataset.instances and not aligned.plan.numbers_objects:
        return merge_classes(aligned.plan.classes, classes, aligned.removed)
    return classes


def class_ids(dataset: Dataset, config: TrainConfig, plan: Plan) -> tuple[int, ...]:
    """The id of each class of a data set in a plan, by name.

    Parameters
    ----------
    dataset, config
        With class values and their names.
    plan
        Made of both.
    """
    ids = {item.name: item.id for item in plan.classes}
    return tuple(ids[name] for name in class_names(dataset, config))


def class_names(dataset: Dataset, config: TrainConfig) -> list[str]:
    """Names of the outputs that a data set asks for, background first.

    Parameters
    ----------
    dataset, config
        What is learned, and what it was called.

    Raises
    ------
    InputError
        Names are too many or too few, or not all different.
    """
    if dataset.instances:
        if len(config.class_names) > 1:
            raise InputError("masks that number objects have one kind of object (--class-names)")
        declared = dataset.classes[-1].name if dataset.classes else "object"
        kind = config.class_names[0] if config.class_names else declared
        names = ["background", f"{kind} interior", f"{kind} boundary"]
        if config.recipe.targets.instances == "distance":
            names = ["background", kind, f"{kind} distance"]
    else:
        count = len(dataset.values) - 1
        if config.class_names and len(config.class_names) != count:
            raise InputError(
                f"{len(config.class_names)} names for {count} foreground classes (--class-names)"
            )
        declared_names = {item.value: item.name for item in dataset.classes or ()}
        given = config.class_names or [
            declared_names.get(value, f"class {value}") for value in dataset.values[1:]
        ]
        names = ["background", *given]
    if len(set(names)) < len(names):
        raise InputError("class names must differ, and none may be 'background' (--class-names)")
    return names

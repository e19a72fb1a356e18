"""nnU-Net v2's ``plans.json`` and ``dataset.json`` as a :class:`~napari_swin_umamba.plan.Plan`.

Sources: ``plans_handler.py``, ``label_handling.py``, ``default_normalization_schemes.py`` and the
readers in ``imageio/`` of nnU-Net v2, as in commit 2c1f72e of JiarunLiu/Swin-UMamba. What would
change the result and is not supported is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass, VolumePlan

__all__ = ["TRAINERS", "plan_from_nnunet"]

TRAINERS = {
    "nnUNetTrainerSwinUMamba": "swin-umamba",
    "nnUNetTrainerSwinUMambaScratch": "swin-umamba",
    "nnUNetTrainerSwinUMambaD": "swin-umamba-d",
    "nnUNetTrainerSwinUMambaDScratch": "swin-umamba-d",
}
"""Trainers whose networks we have -> our name of the network."""

_SCHEMES = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "ct",
    "RescaleTo01Normalization": "rescale_to_01",
    "RGBTo01Normalization": "rgb_to_01",
    "NoNormalization": "none",
}
_RESAMPLING = "resample_data_or_seg_to_shape"
_READERS = {
    "SimpleITKIO": "millimeter",
    "NibabelIO": "millimeter",
    "NibabelIOWithReorient": "millimeter",
    "NaturalImage2DIO": None,
    "Tiff3DIO": None,
}
"""Readers of nnU-Net -> unit of the spacing that they give."""
_MOST_LABELS = 65_535
_COLOURS = (("r", "g", "b"), ("red", "green", "blue"))


def plan_from_nnunet(
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    configuration: str,
    trainer: str,
    mirror_axes: Sequence[int] | None,
    folds: int = 1,
) -> Plan:
    """Translate what nnU-Net knows about a trained model.

    Parameters
    ----------
    plans, dataset
        Content of ``plans.json`` and ``dataset.json``.
    configuration
        Of the checkpoint: ``"2d"``.
    trainer
        Name of the trainer's class in the checkpoint.
    mirror_axes
        ``inference_allowed_mirroring_axes`` of the checkpoint.
    folds
        Number of networks.

    Raises
    ------
    InputError
        Another trainer, a 3D configuration, another preprocessor, resampling, normalization or
        reader; or an entry is missing or makes no sense.
    """
    if trainer not in TRAINERS:
        raise InputError(
            f"the checkpoint was made by the trainer {shown(trainer)}, whose network this program "
            f"does not have; it reads {', '.join(TRAINERS)}"
        )
    try:
        config = _configuration(plans, configuration)
        reader = _reader(plans, dataset)
        channels = _channels(plans, dataset, config)
        classes, regions = _labels(dataset)
        spacing = _numbers(config["spacing"])
        patch = _numbers(config["patch_size"])
        if len(patch) != 2 or len(spacing) != 2:
            raise InputError(
                f"the configuration {shown(configuration)} is for {len(patch)} dimensions; "
                "Swin-UMamba's networks are two-dimensional: give a model of the configuration 2d"
            )
        measured = reader != "NaturalImage2DIO"
        return Plan(
            architecture=TRAINERS[trainer],
            channels=channels,
            rgb=reader == "NaturalImage2DIO" and _are_colours(channels),
            classes=classes,
            regions=regions,
            patch=tuple(int(size) for size in patch),
            pad_to_patch=True,
            spacing=spacing if measured else None,
            unit=_READERS[reader],
            mirror_axes=tuple(mirror_axes or ()),
            folds=folds,
            volume=_volume(plans, config, spacing, reader),
        )
    except KeyError as error:
        raise InputError(f"the plans of the nnU-Net model lack {error}; copy it again") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise InputError(
            f"the nnU-Net model cannot be used: {where}: {problem['msg']}".replace(": :", ":")
        ) from error
    except (TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the plans of the nnU-Net model are damaged ({shown(str(error))}); copy it again"
        ) from error


def _configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Entries of a configuration, with those of what it inherits from."""
    configurations = plans["configurations"]
    merged: dict[str, Any] = {}
    seen: list[str] = []
    parent: Any = name
    while parent is not None:
        if parent not in configurations or parent in seen:
            raise InputError(
                f"the plans have no configuration {shown(parent)}; "
                f"they have {', '.join(map(str, configurations))}"
            )
        seen.append(parent)
        merged = {**configurations[parent], **merged}
        parent = configurations[parent].get("inherits_from")
    preprocessor = merged.get("preprocessor_name", "DefaultPreprocessor")
    if preprocessor != "DefaultPreprocessor":
        raise InputError(
            f"the model was trained with the preprocessor {shown(preprocessor)}; this program has "
            "DefaultPreprocessor alone"
        )
    return merged


def _reader(plans: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    reader = plans.get("image_reader_writer") or "SimpleITKIO"
    if reader not in _READERS:
        raise InputError(
            f"the model's images were read with {shown(reader)}; this program knows how "
            f"{', '.join(_READERS)} read"
        )
    return str(reader)


def _channels(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Channel, ...]:
    names = dataset.get("channel_names") or dataset["modality"]
    ordered = [str(names[key]) for key in sorted(names, key=int)]
    schemes = config["normalization_schemes"]
    if len(schemes) != len(ordered):
        raise InputError(
            f"the plans normalize {len(schemes)} channels, dataset.json has {len(ordered)}"
        )
    return tuple(
        Channel(name=name, normalization=_normalization(plans, scheme, index))
        for index, (name, scheme) in enumerate(zip(ordered, schemes, strict=True))
    )


def _normalization(plans: Mapping[str, Any], scheme: str, channel: int) -> Normalization:
    if scheme not in _SCHEMES:
        raise InputError(
            f"the model normalizes intensities with {shown(scheme)}; this program has "
            f"{', '.join(_SCHEMES)}"
        )
    if scheme != "CTNormalization":
        return Normalization.model_validate({"scheme": _SCHEMES[scheme]})
    known = plans["foreground_intensity_properties_per_channel"][str(channel)]
    return Normalization(
        scheme="ct",
        lower=known["percentile_00_5"],
        upper=known["percentile_99_5"],
        mean=known["mean"],
        std=known["std"],
    )


def _are_colours(channels: Sequence[Channel]) -> bool:
    """Whether channels are those of a picture; other readers have a file for each channel."""
    names = tuple(channel.name.lower() for channel in channels)
    schemes = {channel.normalization.scheme for channel in channels}
    return len(channels) == 3 and (names in _COLOURS or schemes == {"rgb_to_01"})


def _labels(
    dataset: Mapping[str, Any],
) -> tuple[tuple[SegmentationClass, ...], tuple[int, ...]]:
    """Classes of the label map, and for region-based training the label of each output."""
    entries = {name: label for name, label in dataset["labels"].items() if name != "ignore"}
    if any(isinstance(label, list) and len(label) > 1 for label in entries.values()):
        return _regions(dataset, entries)
    values = {
        int(label[0] if isinstance(label, list) else label): name for name, label in entries.items()
    }
    if sorted(values) != list(range(len(entries))):
        raise InputError(
            f"the labels {sorted(values)} in dataset.json are not 0, 1, 2, ..., as nnU-Net has them"
        )
    return tuple(SegmentationClass(id=value, name=values[value]) for value in sorted(values)), ()


def _regions(
    dataset: Mapping[str, Any], entries: Mapping[str, Any]
) -> tuple[tuple[SegmentationClass, ...], tuple[int, ...]]:
    names = [name for name, label in entries.items() if label not in (0, [0])]
    order = tuple(int(label) for label in dataset.get("regions_class_order") or ())
    if len(order) != len(names):
        raise InputError(
            f"dataset.json has {len(names)} regions ({', '.join(names)}), and regions_class_order "
            f"names {len(order)} labels for them"
        )
    if max(order) > _MOST_LABELS:
        raise InputError(f"a region has the label {max(order):,}; {_MOST_LABELS} are the most")
    if len(set(order)) < len(order) or min(order) < 1:
        raise InputError(
            f"the regions_class_order {list(order)} of dataset.json gives two regions one label, "
            "or one the background's; this program needs a label for each"
        )
    known = dict(zip(order, names, strict=True))
    classes = [SegmentationClass(id=0, name="background")]
    for label in range(1, max(order) + 1):
        classes.append(SegmentationClass(id=label, name=known.get(label, f"label {label}")))
    return tuple(classes), order


def _volume(
    plans: Mapping[str, Any],
    config: Mapping[str, Any],
    spacing: tuple[float, ...],
    reader: str,
) -> VolumePlan:
    image, logits = (_resampling(config, what) for what in ("data", "probabilities"))
    masks = config.get("use_mask_for_norm") or ()
    return VolumePlan(
        transpose=tuple(int(axis) for axis in plans["transpose_forward"]),
        spacing=spacing,
        ignore_spacing=reader == "NaturalImage2DIO",
        reorient=reader == "NibabelIOWithReorient",
        image_order=image.get("order", 3),
        image_order_z=image.get("order_z", 0),
        image_separate_z=image.get("force_separate_z", False),
        logits_order=logits.get("order", 3),
        logits_order_z=logits.get("order_z", 0),
        logits_separate_z=logits.get("force_separate_z", False),
        mask_channels=tuple(
            channel
            for channel, (masked, scheme) in enumerate(
                zip(masks, config["normalization_schemes"], strict=False)
            )
            if masked and scheme == "ZScoreNormalization"
        ),
    )


def _resampling(config: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Settings of nnU-Net's function; where there are none, its defaults hold."""
    function = config.get(f"resampling_fn_{what}", _RESAMPLING)
    if function != _RESAMPLING:
        raise InputError(
            f"the model resamples its {what} with {shown(function)}; this program has "
            f"{_RESAMPLING} alone"
        )
    return dict(config.get(f"resampling_fn_{what}_kwargs") or {})


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)

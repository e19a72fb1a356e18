"""What a network's outputs are called, and which number each has."""

from __future__ import annotations

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan, SegmentationClass
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.project_classes import Aligned
from swin_umamba_training.transfer import merge_classes

__all__ = ["class_ids", "class_names", "output_classes"]


def output_classes(
    dataset: Dataset, config: TrainConfig, aligned: Aligned | None
) -> tuple[SegmentationClass, ...]:
    """The classes of a plan.

    Parameters
    ----------
    dataset, config
        What is learned, and what it was called.
    aligned
        Plan of the model to start from: its classes keep their ids.

    Raises
    ------
    InputError
        As :func:`class_names`.
    """
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

"""Going on from a model that has other classes or channels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Plan, SegmentationClass

__all__ = ["input_weights", "merge_classes", "take_weights"]


def merge_classes(
    start: tuple[SegmentationClass, ...],
    own: tuple[SegmentationClass, ...],
    removed: Collection[str] = (),
) -> tuple[SegmentationClass, ...]:
    """Add the classes of a data set to those of a model; the model's keep their ids.

    Parameters
    ----------
    start
        Classes of the model to start from, background first.
    own
        Of the data set, background first.
    removed
        Names of the model's classes that are left out: those behind them move up.

    Returns
    -------
    tuple of SegmentationClass
        The model's, then those that are new. Classes of one name are one.
    """
    colors = {item.name: item.color for item in own}
    known = [
        item.model_copy(update={"color": colors.get(item.name) or item.color})
        for item in start
        if item.name not in removed
    ]
    names = {item.name for item in start}
    new = [item for item in own if item.name not in names]
    return tuple(
        item.model_copy(update={"id": number}) for number, item in enumerate([*known, *new])
    )


@dataclass(frozen=True)
class _Roles:
    """Tensors of a network that depend on its classes (first axis) or channels (second axis)."""

    classes: frozenset[str]
    channels: frozenset[str]


def _roles(architecture: str) -> _Roles:
    """Found by building networks that differ in one number, without memory for their weights."""

    def shapes(channels: int, classes: int) -> dict[str, torch.Size]:
        with torch.device("meta"):
            network = build_network(architecture, channels, classes, deep_supervision=True)
        return {name: tensor.shape for name, tensor in network.state_dict().items()}

    plain, classes, channels = shapes(5, 7), shapes(5, 8), shapes(6, 7)
    return _Roles(
        frozenset(name for name in plain if plain[name] != classes[name]),
        frozenset(name for name in plain if plain[name] != channels[name]),
    )


def input_weights(architecture: str) -> frozenset[str]:
    """Names of the weights that multiply the image itself.

    Parameters
    ----------
    architecture
        Name of the network.
    """
    return _roles(architecture).channels


@torch.no_grad()
def take_weights(
    network: torch.nn.Module, plan: Plan, model: Model, names: Plan | None = None
) -> tuple[bool, tuple[str, ...]]:
    """Copy a model's weights into a network of the same kind.

    Outputs of classes that both have, by name, are copied; those of new classes stay as drawn.
    Where the number of channels differs, each channel gets the sum of the model's filters divided
    by the number of channels, as ImageNet weights are adapted: a flat image is seen as before.

    Parameters
    ----------
    network
        Built for `plan`; changed in place.
    plan
        Of the new run.
    model
        To start from.
    names
        The model's plan with its classes called as in `plan`, where they were renamed.

    Returns
    -------
    whole : bool
        Whether all outputs are the model's.
    notes : tuple of str
        What was taken and what not, for people.
    """
    target, source = network.state_dict(), model.network.state_dict()
    roles = _roles(plan.architecture)
    old = {item.name: item.id for item in (names or model.plan).classes}
    if model.plan.regions:  # outputs that may overlap are no classes
        old = {}
    same_output = plan.output == model.plan.output
    # Interior, boundary and distance mean the same whatever the objects are called.
    if same_output and plan.numbers_objects:
        old = {item.name: item.id for item in plan.classes}
    shared = [(item.id, old[item.name]) for item in plan.classes if item.name in old]
    for name, tensor in target.items():
        weight = source[name].to(tensor)
        if name in roles.channels and weight.shape[1] != tensor.shape[1]:
            weight = _to_channels(weight, tensor.shape[1])
        if name not in roles.classes:
            tensor.copy_(weight)
            continue
        for new_row, old_row in shared:
            tensor[new_row] = weight[old_row]
    return len(shared) == plan.num_classes, _notes(plan, model, len(shared))


def _to_channels(weight: Tensor, channels: int) -> Tensor:
    return weight.sum(1, keepdim=True).expand(-1, channels, *weight.shape[2:]) / channels


def _notes(plan: Plan, model: Model, shared: int) -> tuple[str, ...]:
    notes = []
    if shared == plan.num_classes and plan.num_classes == model.plan.num_classes:
        notes.append(f"starts from all weights of '{model.name}'")
    else:
        fresh = plan.num_classes - shared
        notes.append(
            f"starts from '{model.name}'; of {plan.num_classes} outputs {shared} are its own by "
            f"name, {fresh} begin anew"
        )
    if plan.in_channels != model.plan.in_channels:
        notes.append(
            f"the images have {plan.in_channels} channels, '{model.name}' takes "
            f"{model.plan.in_channels}: its first filters were summed and shared out"
        )
    return tuple(notes)

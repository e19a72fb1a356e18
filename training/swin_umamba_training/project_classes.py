"""Which output of a model is which class of a project, whatever the classes were called then.

A model that was trained on a project knows the project's id of each of its classes. Ids never
change; names may. So such a model is first given the names that the project has now, and whatever
goes by names afterwards goes right.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_swin_umamba.checkpoints import ModelInfo
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.project import Project
from swin_umamba_training.dataset import Dataset

__all__ = ["Aligned", "align_with_project"]


@dataclass(frozen=True)
class Aligned:
    """A model's plan, its classes called as the data set calls them."""

    plan: Plan
    removed: frozenset[str] = frozenset()
    """Names in the plan of classes that the project does not have any more."""


def align_with_project(plan: Plan, info: ModelInfo, dataset: Dataset) -> Aligned:
    """Give a model's classes the names that they have now.

    Parameters
    ----------
    plan, info
        Of the model.
    dataset
        What it is to be used on. If it is no project, or another one than the model's, or numbers
        objects, names stay as they are.
    """
    ids = info.training.get("project_class_ids")
    known = (
        dataset.kind == "project"
        and not dataset.instances
        and not plan.numbers_objects
        and isinstance(ids, list)
        and len(ids) == plan.num_classes
        and bool(uid := Project.open(dataset.path).settings.uid)
        and info.training.get("project") == uid
    )
    if not known:
        return Aligned(plan)
    assert isinstance(ids, list)
    now = {item.value: item.name for item in dataset.classes or ()}
    taken = {now[number] for number in ids if isinstance(number, int) and number in now}
    classes, removed, used = [], set(), set(now.values())
    for item, number in zip(plan.classes, ids, strict=True):
        name = item.name
        if isinstance(number, int) and number in now:
            name = now[number]
        elif isinstance(number, int) or name in taken:
            # Gone from the project; or of a start model, and a class of the project has its name.
            name = _free_name(f"{name} (removed)", used)
            removed.add(name)
        used.add(name)
        classes.append(item.model_copy(update={"name": name}))
    return Aligned(plan.model_copy(update={"classes": tuple(classes)}), frozenset(removed))


def _free_name(name: str, used: set[str]) -> str:
    while name in used:
        name += "'"
    return name

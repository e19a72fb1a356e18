"""What a training run does with its data before the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.project import FolderLock, Project, Roles
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.fingerprint import default_batch
from swin_umamba_training.data.samples import Sample
from swin_umamba_training.data.splitting import Parts, split, split_by_roles, split_folds
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.output_classes import class_ids

__all__ = ["choose_parts", "describe_data", "name_spans", "with_batch", "with_orientation"]


def choose_parts(dataset: Dataset, config: TrainConfig) -> tuple[Parts, Callable[[], None]]:
    """Part the data set into training and validation.

    Parameters
    ----------
    dataset
        What is parted.
    config
        ``val``, ``val_fraction``, ``fold``, ``folds`` and ``seed``.

    Returns
    -------
    parts
        Training and validation samples.
    keep
        To be called once the run is sure to begin: writes down in a project what is held out.

    Raises
    ------
    InputError
        See :mod:`swin_umamba_training.data.splitting`.
    """
    if config.fold is not None:
        parts = split_folds(dataset.samples, config.fold, config.folds, config.seed)
        return parts, _nothing
    if dataset.kind != "project" or config.val:
        return split(dataset.samples, config.val, config.val_fraction, config.seed), _nothing
    project = Project.open(dataset.path)
    images = {}
    for name, report in dataset.reports.items():
        labels = report.case.labels
        assert not isinstance(labels, Path)
        images[name] = labels.image.id
    before = project.roles
    parts, roles = split_by_roles(dataset.samples, images, before, config.val_fraction, config.seed)
    if roles == before:
        return parts, _nothing
    return parts, lambda: _keep_roles(project, before, roles)


def _nothing() -> None:
    pass


def _keep_roles(project: Project, before: Roles, roles: Roles) -> None:
    """Write down what is held out, unless another run did so in the meantime."""
    try:
        with FolderLock(project.folder, "roles", "beginning a training"):
            if project.roles != before:
                raise InputError("another training of it began at the same time; start again")
            project.save_roles(roles)
    except InputError as error:
        raise InputError(
            f"what is held out cannot be written down in the project: {error}; or choose it "
            "yourself (--val)"
        ) from error


def with_batch(config: TrainConfig, plan: Plan) -> TrainConfig:
    """Settle the number of patches in a step, if nobody did.

    Parameters
    ----------
    config
        Whose ``batch`` is 0, or settled.
    plan
        With the patch.
    """
    if config.batch:
        return config
    shares = -(-default_batch(plan.patch) // config.world_size)  # each process takes as many
    return config.with_batch(shares * config.world_size)


def with_orientation(config: TrainConfig, volumes: bool) -> tuple[TrainConfig, tuple[str, ...]]:
    """Settle whether all images lie the same way, if nobody did; say so where it is assumed.

    Parameters
    ----------
    config
        Whose orientation is ``auto``, or settled.
    volumes
        Whether the images are volumes.
    """
    if config.recipe.augmentation.orientation != "auto":
        return config, ()
    if not volumes:
        return config.with_orientation("any"), ()
    note = (
        "volumes are taken to lie all the same way, so patches are not mirrored; if they do not: "
        "--set augmentation.orientation=any"
    )
    return config.with_orientation("fixed"), (note,)


def describe_data(
    dataset: Dataset, parts: Parts, config: TrainConfig, plan: Plan
) -> dict[str, JsonValue]:
    """What a model's record says about its data.

    Parameters
    ----------
    dataset
        What was trained on.
    parts
        Training and validation samples.
    config
        How it was parted.
    plan
        Says which class of the data set is which of the network.
    """
    record: dict[str, JsonValue] = {"validation_images": [*name_spans(parts[1])]}
    if config.fold is not None:
        record["fold"] = [config.fold, config.folds]
    left_out = len(dataset.samples) - len(parts[0]) - len(parts[1])
    if left_out:
        record["neighbours_left_out"] = left_out
    if dataset.fingerprint is not None:
        record["data_sha256"] = dataset.fingerprint.sha256
        record["fingerprint"] = dataset.fingerprint.model_dump(mode="json")
    if dataset.kind == "project" and dataset.classes:
        # Class i of the network is this id of the project, or null where only the start model has
        # it: ids never change, positions may.
        known: list[JsonValue] = [item.value for item in dataset.classes]
        if not dataset.instances:
            ids = class_ids(dataset, config, plan)
            project_ids = dict(zip(ids, known, strict=True))
            known = [project_ids.get(number) for number in range(plan.num_classes)]
        record["project_class_ids"] = known
        record["project"] = Project.open(dataset.path).settings.uid
    return record


def name_spans(samples: tuple[Sample, ...]) -> list[str]:
    """Names of cases, with runs of slices as ``CASE:FIRST-LAST``.

    Parameters
    ----------
    samples
        In the order of their slices.
    """
    spans: list[list[object]] = []
    for sample in samples:
        if sample.place is None:
            spans.append([sample.case, None, None])
        elif (
            spans
            and spans[-1][0] == sample.case
            and spans[-1][2] in (sample.place, sample.place - 1)
        ):
            spans[-1][2] = sample.place
        else:
            spans.append([sample.case, sample.place, sample.place])
    return [f"{case}" if first is None else f"{case}:{first}-{last}" for case, first, last in spans]

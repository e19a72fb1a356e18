"""Which kind of data set a folder is. No pixel is read here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import Project
from swin_umamba_training.data.annotations import project_source
from swin_umamba_training.data.nnunet import nnunet_source
from swin_umamba_training.data.pairs import pairs_source
from swin_umamba_training.data.problems import Problem
from swin_umamba_training.data.source import Source

__all__ = ["find_source"]


def find_source(path: Path, ignore: int | None = None) -> Source:
    """Recognise a data set: an annotation project, a nnU-Net raw folder, or pairs.

    Parameters
    ----------
    path
        Its folder.
    ignore
        Pairs: value of pixels in masks that nobody labelled.

    Returns
    -------
    Source
        With a problem if the folder is none of these, or its description is wrong.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        message = (
            f"the data set {path} {what}; give a folder with images/ and masks/, a nnU-Net raw "
            "folder or an annotation project (DATASET)"
        )
        return Source(path, "pairs", problems=(Problem("no-folder", message, (str(path),)),))
    if Project.is_project(path):
        try:
            return _without_ignore(project_source(path), ignore)
        except InputError as error:
            files = (str(path / "project.yaml"),)
            return Source(path, "project", problems=(Problem("project-file", str(error), files),))
    if (path / "dataset.json").exists() or (path / "imagesTr").is_dir():
        return _without_ignore(nnunet_source(path), ignore)
    return pairs_source(path, ignore)


def _without_ignore(source: Source, ignore: int | None) -> Source:
    """Refuse to be told what a data set says itself."""
    if ignore is None:
        return source
    what = "an annotation project" if source.kind == "project" else "a nnU-Net data set"
    message = (
        f"{source.path} is {what}, which says itself which pixels nobody labelled; leave out "
        "--ignore"
    )
    problem = Problem("ignore-label", message, (str(source.path),))
    return replace(source, problems=(*source.problems, problem))

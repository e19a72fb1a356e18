"""A folder with ``images/`` and ``masks/`` (or ``labels/``): files of the same names."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.images import stem_of
from swin_umamba_training.data.problems import Problem, listed_files
from swin_umamba_training.data.source import Case, Source
from swin_umamba_training.folders import image_files

__all__ = ["pairs_source"]


def pairs_source(path: Path, ignore: int | None = None) -> Source:
    """Pair images and masks by name, whatever the endings.

    Parameters
    ----------
    path
        Folder with ``images/`` and ``masks/``, or ``labels/`` instead of it.
    ignore
        Mask value of pixels that nobody labelled.
    """
    folders = {"images": path / "images", "masks": path / "masks"}
    if not folders["masks"].is_dir() and (path / "labels").is_dir():
        folders["masks"] = path / "labels"
    lacking = [part for part, folder in folders.items() if not folder.is_dir()]
    if lacking:
        problems = tuple(
            Problem(
                "no-folder",
                f"the data set {path} has no folder {part}/; put the {part} there",
                (str(path / part),),
            )
            for part in lacking
        )
        return Source(path, "pairs", problems=problems)
    found: list[Problem] = []
    images = _by_name(folders["images"], found)
    masks = _by_name(folders["masks"], found)
    if not masks:
        found.append(
            Problem(
                "no-masks",
                f"the data set {path} has no masks; put a PNG, TIFF or NIfTI for each image in "
                f"{folders['masks'].name}/",
                (str(folders["masks"]),),
            )
        )
    found += [
        Problem(
            "missing-image",
            f"{masks[name]} has no image of the same name in {folders['images']}; rename or "
            "move it",
            (str(masks[name]),),
        )
        for name in sorted(masks.keys() - images.keys())
    ]
    unpainted = [images[name] for name in sorted(images.keys() - masks.keys())]
    if unpainted and masks:
        count = f"{len(unpainted)} image{'s have' if len(unpainted) > 1 else ' has'} no mask"
        found.append(
            Problem(
                "missing-mask",
                f"{count} and {'are' if len(unpainted) > 1 else 'is'} left out: "
                f"{listed_files(unpainted)}",
                tuple(map(str, unpainted)),
                "warning",
            )
        )
    cases = tuple(
        Case(name, (images[name],), masks[name]) for name in sorted(masks.keys() & images.keys())
    )
    return Source(path, "pairs", cases, unknown=ignore, problems=tuple(found))


def _by_name(folder: Path, problems: list[Problem]) -> dict[str, Path]:
    files: dict[str, list[Path]] = {}
    for file in image_files(folder):
        files.setdefault(stem_of(file), []).append(file)
    for same in files.values():
        if len(same) > 1:
            problems.append(
                Problem(
                    "same-name",
                    f"{same[0]} and {listed_files(same[1:])} have the same name; remove or rename "
                    "all but one",
                    tuple(map(str, same)),
                )
            )
    return {name: same[0] for name, same in files.items() if len(same) == 1}

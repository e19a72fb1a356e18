"""Blocks of painted slices: which are learned from, which held out, which not settled. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_swin_umamba.project import FolderLock, Project
from napari_swin_umamba.project.roles import Block, Role

__all__ = ["PaintedBlock", "list_blocks", "settle"]


@dataclass(frozen=True)
class PaintedBlock:
    """Neighbouring slices that share a role."""

    block: Block
    title: str
    """``case01 8–15``; of a 2D image, its name."""
    slices: int
    """Painted ones."""
    role: Role | None
    """None: not settled yet."""


def list_blocks(project: Project) -> list[PaintedBlock]:
    """List the blocks in which something is painted.

    Parameters
    ----------
    project
        Where to look.

    Raises
    ------
    InputError
        The project's files cannot be read.
    """
    roles, found = project.roles, []
    for image in project.images:
        slices: dict[Block, int] = {}
        axis = image.block_axis
        index = image.fixed_axes.index(axis) if axis is not None else None
        for position in project.annotation(image.id).annotated():
            place = None if index is None else position[index]
            block = roles.block_of(image.id, place)
            slices[block] = slices.get(block, 0) + 1
        sizes = dict(zip(image.label_axes, image.label_shape, strict=True))
        for block, number in sorted(slices.items()):
            title = image.name
            if axis is not None:
                first = block[1] * roles.block
                title += f" {first}–{min(first + roles.block, sizes[axis]) - 1}"
            found.append(PaintedBlock(block, title, number, roles.role(block)))
    return found


def settle(project: Project, chosen: Mapping[Block, Role]) -> None:
    """Write down what a person chose for blocks that had no role.

    Parameters
    ----------
    project
        Where.
    chosen
        By block.

    Raises
    ------
    InputError
        A block has another role by now, or the disk refuses.
    """
    if not chosen:
        return
    with FolderLock(project.folder, "roles", "beginning a training", "try again in a moment"):
        project.save_roles(project.roles.assigned(chosen))

"""Which slices are trained on and which held out: settled once, by blocks, and kept.

A slice once trained on is never held out, nor the other way round, so scores of one model and the
next may be compared. Neighbouring slices look alike, therefore a role is that of a whole block of
them (a whole image, where there are no slices).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project.json_file import read_json, write_json

__all__ = ["BLOCK", "Block", "Role", "Roles"]

BLOCK = 8
"""Slices of a block."""
Role = Literal["train", "held_out"]
Block = tuple[str, int]
"""Id of an image, and which of its blocks: slice number // :data:`BLOCK`; 0 in a 2D image."""


class Roles(BaseModel):
    """The whole of ``roles.json``. Immutable: :meth:`assigned` returns a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    block: int = Field(default=BLOCK, ge=1)
    """Slices of a block, when the project was begun."""
    images: Mapping[str, Mapping[int, Role]] = Field(default_factory=dict)
    """For each image, the role of each block that has one."""

    def role(self, block: Block) -> Role | None:
        """Role of a block; None if it has none yet."""
        image, index = block
        return self.images.get(image, {}).get(index)

    def block_of(self, image: str, place: int | None) -> Block:
        """Block of a slice.

        Parameters
        ----------
        image
            Id of the image.
        place
            Slice number along :attr:`ImageReference.block_axis`; None in a 2D image.
        """
        return image, (place or 0) // self.block

    def assigned(self, roles: Mapping[Block, Role]) -> Roles:
        """Return these roles and others.

        Parameters
        ----------
        roles
            Of blocks that have none yet.

        Raises
        ------
        InputError
            A block would change its role.
        """
        images = {image: dict(blocks) for image, blocks in self.images.items()}
        for (image, index), role in roles.items():
            known = images.setdefault(image, {}).setdefault(index, role)
            if known != role:
                raise InputError(
                    f"block {index} of '{image}' is '{known}' and cannot become '{role}': a slice "
                    "once trained on is never held out, nor the other way round"
                )
        return self.model_copy(update={"images": images})

    def drawn(self, blocks: Iterable[Block], fraction: float, seed: int) -> Roles:
        """Return these roles, and drawn ones for blocks that have none.

        Parameters
        ----------
        blocks
            All in which something is painted.
        fraction
            Share of them that should be held out, at least one; 0 gives new ones to training.
        seed
            Decides which new blocks are held out.
        """
        import numpy as np

        blocks = tuple(dict.fromkeys(blocks))
        new = [block for block in blocks if self.role(block) is None]
        held = len(self.known(blocks, "held_out"))
        trained = len(self.known(blocks, "train"))
        wanted = max(1, round(fraction * len(blocks))) if fraction > 0 and len(blocks) > 1 else 0
        # One block must be left to train on.
        count = max(0, min(wanted - held, len(new) - (0 if trained else 1)))
        chosen = set(
            np.random.default_rng([seed, 0]).choice(len(new), count, replace=False).tolist()
        )
        return self.assigned(
            {block: "held_out" if index in chosen else "train" for index, block in enumerate(new)}
        )

    def merged(self, other: Roles) -> Roles:
        """Return these roles and those that blocks got elsewhere.

        Raises
        ------
        InputError
            A block has one role here and another one there, or blocks are of another size.
        """
        if other.block != self.block and other.images and self.images:
            raise InputError(f"blocks have {self.block} slices here, and {other.block} there")
        base = self if self.images else self.model_copy(update={"block": other.block})
        return base.assigned(
            {
                (image, index): role
                for image, blocks in other.images.items()
                for index, role in blocks.items()
            }
        )

    def known(self, blocks: Iterable[Block], role: Role) -> list[Block]:
        """Those of some blocks that have a role."""
        return [block for block in blocks if self.role(block) == role]

    @classmethod
    def read(cls, path: Path) -> Roles:
        """Read ``roles.json``; without such a file, no block has a role.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        remedy = "restore it from a copy (without it, scores before and after do not compare)"
        return read_json(path, cls, remedy)

    def write(self, path: Path) -> None:
        """Write ``roles.json`` whole or not at all.

        Raises
        ------
        InputError
            The disk refuses.
        """
        write_json(path, self)

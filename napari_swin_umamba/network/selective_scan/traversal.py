"""The four traversals of an image grid that a 2D selective scan follows.

0 row by row, 1 column by column, 2 and 3 the same two backwards (VMamba, arXiv 2401.10166, §4.1).
"""

import torch
from torch import Tensor

DIRECTIONS = 4

CHUNK = 64
"""Steps that CPU kernels take together, and distance of the states kept for the backward pass."""


def traversal_orders(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Pixel index visited at each step of each traversal.

    Parameters
    ----------
    height, width
        Size of the grid in pixels.
    device
        Where the indices are put.

    Returns
    -------
    Tensor, ``(4, height * width)``, int64
        ``orders[k, t]`` is the row-major index of the pixel that traversal ``k`` visits at ``t``.
    """
    rows = torch.arange(height * width, device=device)
    columns = rows.view(height, width).t().reshape(-1)
    return torch.stack([rows, columns, rows.flip(0), columns.flip(0)])


def follow_traversals(maps: Tensor) -> Tensor:
    """Bring pixels into the order of each traversal: ``(B, H, W, 4, E)`` to ``(B, 4, L, E)``."""
    rows, columns, rows_back, columns_back = maps.unbind(3)
    forwards = [rows.flatten(1, 2), columns.transpose(1, 2).flatten(1, 2)]
    backwards = [rows_back.flatten(1, 2), columns_back.transpose(1, 2).flatten(1, 2)]
    return torch.stack([*forwards, *(x.flip(1) for x in backwards)], dim=1)


def put_back(y: Tensor, height: int, width: int) -> Tensor:
    """Sum ``(B, 4, L, D)`` over the traversals, each value at its pixel: ``(B, H, W, D)``."""
    rows, columns = y[:, 0] + y[:, 2].flip(1), y[:, 1] + y[:, 3].flip(1)
    turned: Tensor = columns.unflatten(1, (width, height)).transpose(1, 2)
    total: Tensor = rows.unflatten(1, (height, width)) + turned
    return total

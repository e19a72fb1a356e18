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

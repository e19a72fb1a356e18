"""Several networks of one kind as one."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """The mean of the logits of several networks, for example one of each fold.

    Tiles are blended linearly, so the mean over networks of blended logits, which nnU-Net takes,
    is the blended mean. Names of its weights: ``networks.0.…``, ``networks.1.…``.

    Parameters
    ----------
    networks
        One or more; each ``(B, C, H, W)`` -> logits ``(B, classes, H, W)``.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Tensor:
        """Return the mean logits ``(B, classes, H, W)`` of an image ``(B, C, H, W)``."""
        first, *others = self.networks
        total: Tensor = first(image)
        for network in others:
            total = total + network(image)
        return total / len(self.networks)

"""MONAI's residual block by our own kernels, for inference on one sample."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from napari_swin_umamba.network.cpu import LANES, pointwise
from napari_swin_umamba.network.cpu.convolution import Source, convolve, identity
from napari_swin_umamba.network.cpu.instance_norm import SLOPE, add_and_activate_, moments


def residual_block(
    maps: Sequence[Tensor], first: Tensor, second: Tensor, shortcut: Tensor | None
) -> Tensor:
    """Convolve, normalise, activate, convolve, normalise, add the shortcut, activate.

    Parameters
    ----------
    maps
        One map ``(H, W, C)``, or two to be taken as one with the channels of both, which are
        multiples of 16.
    first, second
        Weights of the convolutions, ``(E, C, 3, 3)`` and ``(E, E, 3, 3)``, E a multiple of 16.
    shortcut
        Weights ``(E, C, 1, 1)``, whose result is normalised; None: the map itself is added.

    Returns
    -------
    Tensor, ``(H, W, E)``
    """
    if missing := -maps[0].shape[2] % LANES:  # the channels of an image
        maps = [functional.pad(x, (0, missing)) for x in maps]
        first = functional.pad(first, (0, 0, 0, 0, 0, missing))
        shortcut = None if shortcut is None else functional.pad(shortcut, (0, 0, 0, 0, 0, missing))
    z, norm = convolve([Source(x) for x in maps], first)
    y, norm = convolve([Source(z, norm, SLOPE)], second)
    if shortcut is None:
        add_and_activate_(y, norm, maps[0], identity(maps[0].shape[2]))
    else:
        pointwise.convolve_into(z, maps, shortcut)  # new memory would cost as much as the product
        add_and_activate_(y, norm, z, moments(z))
    return y

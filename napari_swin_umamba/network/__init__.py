"""The networks and the scan they are built on: torch, no files, no napari."""

from napari_swin_umamba.network.registry import ARCHITECTURES, BASELINES, build_network

__all__ = ["ARCHITECTURES", "BASELINES", "build_network", "warm_up"]


def warm_up(backward: bool = True) -> None:
    """Compile the CPU kernels now, or load them from the cache, instead of at their first use.

    Parameters
    ----------
    backward
        Also those that only training needs.
    """
    from napari_swin_umamba.network.cpu import (
        convolution,
        instance_norm,
        norms,
        pointwise,
        winograd_weight,
    )
    from napari_swin_umamba.network.selective_scan import numba_backend

    for kernels in (convolution, instance_norm, norms, pointwise, winograd_weight):
        kernels.warm_up()
    numba_backend.warm_up(backward)

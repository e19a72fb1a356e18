"""The scan as networks call it: shapes checked, a backend chosen."""

import torch
from torch import Tensor

from napari_swin_umamba.network.selective_scan.backends import asks_for_backend, resolve_backend
from napari_swin_umamba.network.selective_scan.custom_op import scan_with
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS


def selective_scan_2d(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str | None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """Selective scan of a feature map along four traversals, summed (VMamba v0, SS2D).

    The map is given once; a traversal is only an order of pixels. With ``dt, B, C`` taken from
    ``x_dbl`` and ``delta = softplus(dt_weight dt + dt_bias)``, each traversal k runs, in float32,
    ``h <- exp(delta A) h + delta u B`` and ``y = C h + D u``; the four y of a pixel are added.

    Parameters
    ----------
    u
        Features, channels last, ``(B, H, W, D)``.
    x_dbl
        Per pixel and traversal: R values of the time step, N of B, N of C;
        ``(B, H, W, 4 (R + 2 N))``.
    dt_weight, dt_bias
        Expansion of the time step, ``(4, D, R)`` and ``(4, D)``.
    A
        Decay rates, not positive, ``(4, D, N)``.
    D
        Skip weights, ``(4, D)``.
    backend
        Name of a backend; None lets ``SWIN_UMAMBA_SCAN_BACKEND`` or the device decide. A network
        that is exported (``torch.export``) gets plain torch operations unless told otherwise.
    out_dtype
        Type of the result; the scan itself runs in float32 (in float64 where a backend of torch
        operations is given that).

    Returns
    -------
    Tensor, ``(B, H, W, D)``
        Of ``out_dtype``; by default float32, or float64 where the scan ran in it.

    Raises
    ------
    ValueError
        The shapes do not fit together.
    RuntimeError
        A second derivative is asked for: there is none.
    InputError
        The backend is unknown or cannot run here.
    """
    _check_shapes(u, x_dbl, dt_weight, dt_bias, A, D)
    exporting = torch.compiler.is_exporting()
    if exporting and not asks_for_backend(backend):
        backend = "torch"
    name = resolve_backend(str(u.device), backend, u.shape[1] * u.shape[2])
    return scan_with(name, u, x_dbl, dt_weight, dt_bias, A, D, out_dtype)


def _check_shapes(
    u: Tensor, x_dbl: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> None:
    if u.ndim != 4:
        raise ValueError(f"u must have shape (B, H, W, D), got {tuple(u.shape)}")
    batch, height, width, channels = u.shape
    rank, states = dt_weight.shape[-1], A.shape[-1]
    expected = {
        "x_dbl": (x_dbl, (batch, height, width, DIRECTIONS * (rank + 2 * states))),
        "dt_weight": (dt_weight, (DIRECTIONS, channels, rank)),
        "dt_bias": (dt_bias, (DIRECTIONS, channels)),
        "A": (A, (DIRECTIONS, channels, states)),
        "D": (D, (DIRECTIONS, channels)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} must have shape {shape} for u of shape {tuple(u.shape)}, "
                f"got {tuple(tensor.shape)}"
            )

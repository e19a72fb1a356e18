"""The scan as one torch operator, so that autograd, ``torch.compile`` and export see one node."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.selective_scan import reference
from napari_swin_umamba.network.selective_scan.backends import resolve_backend
from napari_swin_umamba.network.selective_scan.traversal import CHUNK, DIRECTIONS


def selective_scan_2d(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str | None = None,
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
        Name of a backend; None lets ``SWIN_UMAMBA_SCAN_BACKEND`` or the device decide.

    Returns
    -------
    Tensor, ``(B, H, W, D)``
        float32, or float64 where the reference backend is given float64.

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
    inputs = (u, x_dbl, dt_weight, dt_bias, A, D)
    name = resolve_backend(u.device, backend, steps=u.shape[1] * u.shape[2]).name
    dtype = torch.float64 if u.dtype == torch.float64 and name == "reference" else torch.float32
    u, x_dbl, dt_weight, dt_bias, A, D = (x.to(dtype).contiguous() for x in inputs)
    keep_states = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    y: Tensor = _scan(u, x_dbl, dt_weight, dt_bias, A, D, name, keep_states)[0]
    return y


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


@torch.library.custom_op("swin_umamba::selective_scan_2d", mutates_args=())
def _scan(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """Return y and the states at the chunk borders (empty unless kept)."""
    if backend == "numba":
        from napari_swin_umamba.network.selective_scan import numba_backend

        return numba_backend.forward(u, x_dbl, dt_weight, dt_bias, A, D, keep_states)
    return reference.forward(u, x_dbl, dt_weight, dt_bias, A, D), u.new_empty(0)


@_scan.register_fake
def _scan_fake(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    batch, height, width, channels = u.shape
    if backend != "numba" or not keep_states:
        return torch.empty_like(u), u.new_empty(0)
    chunks = -(-height * width // CHUNK)
    states = A.shape[-1] + A.shape[-1] % 2  # the kernels take states in pairs, channels in vectors
    padded = -(-channels // LANES) * LANES
    return torch.empty_like(u), u.new_empty(batch, DIRECTIONS, chunks, states, padded)


@torch.library.custom_op("swin_umamba::selective_scan_2d_backward", mutates_args=())
def _scan_backward(
    grad_y: Tensor,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of the six tensors that the scan takes."""
    from napari_swin_umamba.network.selective_scan import numba_backend

    return numba_backend.backward(grad_y, u, x_dbl, dt_weight, dt_bias, A, D, states)


@_scan_backward.register_fake
def _scan_backward_fake(
    grad_y: Tensor,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(u),
        torch.empty_like(x_dbl),
        torch.empty_like(dt_weight),
        torch.empty_like(dt_bias),
        torch.empty_like(A),
        torch.empty_like(D),
    )


def _keep_for_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.backend, _ = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])


@once_differentiable
def _apply_backward(ctx, grad_y, _grad_states):  # type: ignore[no-untyped-def]
    *tensors, states = ctx.saved_tensors
    if ctx.backend == "reference":
        # Not inside an operator: there autograd, which this needs, is switched off.
        grads = reference.backward(grad_y, *tensors)
    else:
        grads = _scan_backward(grad_y.contiguous(), *tensors, states)
    return *grads, None, None


_scan.register_autograd(_apply_backward, setup_context=_keep_for_backward)

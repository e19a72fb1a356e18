"""The scan as one torch operator, so that autograd, ``torch.compile`` and export see one node."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.selective_scan import reference, torch_backend, triton_tuning
from napari_swin_umamba.network.selective_scan.traversal import CHUNK, DIRECTIONS

_KERNELS = ("numba", "triton")
_ANY_FLOAT = ("torch", "reference")
_HALF = (torch.bfloat16, torch.float16)
_EXPORTED_STRETCH = 1 << 26
"""Elements of states held at once in an exported network: each stretch adds nodes to its graph."""


def scan_with(
    backend: str,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """Do as :func:`.operator.selective_scan_2d` with a backend that is known to run here."""
    inputs = (u, x_dbl, dt_weight, dt_bias, A, D)
    wide = u.dtype == torch.float64 and backend in _ANY_FLOAT
    dtype = torch.float64 if wide else torch.float32
    # Triton's kernels read maps in half precision: half the memory, and no copy.
    map_dtype = u.dtype if backend == "triton" and u.dtype in _HALF else dtype
    u, x_dbl = (x.to(map_dtype).contiguous() for x in (u, x_dbl))
    dt_weight, dt_bias, A, D = (x.to(dtype).contiguous() for x in (dt_weight, dt_bias, A, D))
    out_dtype = out_dtype or dtype
    if backend == "torch" and torch.compiler.is_exporting():
        # As its operations, not as an operator that only this package knows.
        y = torch_backend.forward(u, x_dbl, dt_weight, dt_bias, A, D, _EXPORTED_STRETCH)
        return y.to(out_dtype)
    keep_states = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    result: Tensor = _scan(
        u, x_dbl, dt_weight, dt_bias, A, D, backend, keep_states and backend in _KERNELS, out_dtype
    )[0]
    return result


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
    out_dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Return y and the states at the chunk borders (empty unless kept)."""
    states = u.new_empty(0)
    with _own_precision(u):
        if backend == "triton":
            from napari_swin_umamba.network.selective_scan import triton_backend

            return triton_backend.forward(
                u, x_dbl, dt_weight, dt_bias, A, D, keep_states, out_dtype
            )
        if backend == "numba":
            from napari_swin_umamba.network.selective_scan import numba_backend

            y, states = numba_backend.forward(u, x_dbl, dt_weight, dt_bias, A, D, keep_states)
        else:
            y = _torch_scan(backend)(u, x_dbl, dt_weight, dt_bias, A, D)
        return y.to(out_dtype), states


def _own_precision(u: Tensor) -> torch.autocast:
    """Keep autocast from lowering the products inside: the scan chose its precision itself."""
    return torch.autocast(u.device.type, enabled=False)


def _torch_scan(backend: str) -> Callable[..., Tensor]:
    """Scan of a backend that autograd can follow."""
    if backend == "mamba_ssm":
        from napari_swin_umamba.network.selective_scan import mamba_ssm_backend

        return mamba_ssm_backend.forward
    return torch_backend.forward if backend == "torch" else reference.forward


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
    out_dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    batch, height, width, channels = u.shape
    y = torch.empty_like(u, dtype=out_dtype)
    state_dtype = torch.float32 if backend == "triton" else u.dtype
    if not keep_states:
        return y, u.new_empty(0, dtype=state_dtype)
    states = A.shape[-1]
    if backend == "triton":
        chunks = triton_tuning.plan_scan(batch, height * width, channels, True).chunks
    else:
        chunks = -(-height * width // CHUNK)
        states += states % 2  # the CPU's kernels take states in pairs, channels in vectors
        channels = -(-channels // LANES) * LANES
    return y, u.new_empty(batch, DIRECTIONS, chunks, states, channels, dtype=state_dtype)


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
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of the six tensors that the scan takes."""
    if backend == "triton":
        from napari_swin_umamba.network.selective_scan import triton_backend

        with _own_precision(u):
            return triton_backend.backward(grad_y, u, x_dbl, dt_weight, dt_bias, A, D, states)
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
    backend: str,
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
    *tensors, ctx.backend, _, _ = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])


@once_differentiable
def _apply_backward(ctx, grad_y, _grad_states):  # type: ignore[no-untyped-def]
    *tensors, states = ctx.saved_tensors
    if ctx.backend in _KERNELS:
        if ctx.backend == "numba":
            grad_y = grad_y.float()
        grads = _scan_backward(grad_y.contiguous(), *tensors, states, ctx.backend)
    else:
        # Not inside an operator: there autograd, which this needs, is switched off.
        scan = _torch_scan(ctx.backend)
        with _own_precision(grad_y):
            grads = reference.differentiate(scan, grad_y.to(tensors[0].dtype), *tensors)
    return *grads, None, None, None


_scan.register_autograd(_apply_backward, setup_context=_keep_for_backward)

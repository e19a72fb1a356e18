"""Layer norm of pixels and what follows it, each pixel read once.

A program takes some rows of a matrix ``(rows, C)`` whole; sums are float32 whatever is stored.
"""

import triton
import triton.language as tl


@triton.jit
def normalised(x, weight, bias, rows, channels, epsilon, BLOCK_R: tl.constexpr, C: tl.constexpr):
    """Rows of this program after layer norm, ``(BLOCK_R, C)``, and where they and columns lie."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)[:, None]
    column = tl.arange(0, C)[None, :]
    inside = (row < rows) & (column < channels)
    value = tl.load(x + row * channels + column, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(value, axis=1, keep_dims=True) / channels
    centred = tl.where(inside, value - mean, 0.0)
    variance = tl.sum(centred * centred, axis=1, keep_dims=True) / channels
    scale = tl.load(weight + column, mask=column < channels, other=0.0)
    shift = tl.load(bias + column, mask=column < channels, other=0.0)
    normed = centred * (1.0 / tl.sqrt(variance + epsilon)) * scale + shift
    return normed, row, column, inside


@triton.jit(do_not_specialize=["rows"])
def norm_kernel(
    x, weight, bias, out, rows, channels, epsilon, BLOCK_R: tl.constexpr, C: tl.constexpr
):
    """``out (rows, C) = norm(x)``."""
    normed, row, column, inside = normalised(x, weight, bias, rows, channels, epsilon, BLOCK_R, C)
    tl.store(out + row * channels + column, normed, mask=inside)


@triton.jit(do_not_specialize=["rows"])
def gated_norm_kernel(
    x, gate, weight, bias, out, rows, channels, epsilon, BLOCK_R: tl.constexpr, C: tl.constexpr
):
    """``out (rows, C) = norm(x) silu(gate)``."""
    normed, row, column, inside = normalised(x, weight, bias, rows, channels, epsilon, BLOCK_R, C)
    z = tl.load(gate + row * channels + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * channels + column, normed * z * tl.sigmoid(z), mask=inside)


@triton.jit(do_not_specialize=["rows", "classes"])
def classify_kernel(
    x,
    weight,
    bias,
    head,
    head_bias,
    out,
    rows,
    channels,
    classes,
    epsilon,
    BLOCK_R: tl.constexpr,
    C: tl.constexpr,
):
    """``out (rows, classes) = head norm(x) + head_bias``, ``head (classes, C)``."""
    normed, row, column, _inside = normalised(x, weight, bias, rows, channels, epsilon, BLOCK_R, C)
    for k in range(classes):
        w = tl.load(head + k * channels + column, mask=column < channels, other=0.0)
        logit = tl.sum(normed * w, axis=1, keep_dims=True) + tl.load(head_bias + k)
        tl.store(out + row * classes + k, logit, mask=row < rows)

"""What bounds Swin-UMamba† on a GPU: exponentials, bytes and matrix products, each by itself."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch.utils.flop_counter import FlopCounterMode

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.ss2d import SS2D, STATE_SIZE

EXPONENTIALS = tl.constexpr(4096)


@triton.jit
def _exponentials(out, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Take EXPONENTIALS exponentials in every lane, four chains side by side, nothing read."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = lane.to(tl.float32) * -1e-9
    b = a * 2.0
    c = a * 3.0
    d = a * 4.0
    for _ in range(EXPONENTIALS // 4):
        a = tl.exp2(a)
        b = tl.exp2(b)
        c = tl.exp2(c)
        d = tl.exp2(d)
        a = -a
        b = -b
        c = -c
        d = -d
    tl.store(out + lane, a + b + c + d)


def _seconds(run: Callable[[], object], repeats: int = 10) -> float:
    for _ in range(3):
        run()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(repeats):
        run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3 / repeats


def measure_floor(batch: int, size: int) -> dict[str, float]:
    """Rates of this GPU, and the milliseconds that each alone takes of one forward pass.

    Bytes are those of the scans, each map read and written once, in bfloat16; matrix products are
    those of the whole network, in bfloat16.
    """
    programs = 64 * torch.cuda.get_device_properties(0).multi_processor_count
    out = torch.empty(programs * 256, device="cuda")
    exp_rate = out.numel() * 4096 / _seconds(lambda: _exponentials[(programs,)](out, BLOCK=256))
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    byte_rate = 2 * source.numel() * 4 / _seconds(functools.partial(target.copy_, source))
    square = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    flop_rate = 2 * 8192**3 / _seconds(lambda: square @ square)

    exponentials = moved = 0
    network = build_network("swin-umamba-d", 3, 3).cuda().eval()

    def count(module: SS2D, inputs: tuple[torch.Tensor], _output: object) -> None:
        nonlocal exponentials, moved
        samples, height, width, channels = inputs[0].shape
        pixels, inner = samples * height * width, 2 * channels
        columns = 4 * (module.dt_projs_weight.shape[-1] + 2 * STATE_SIZE)
        exponentials += 4 * pixels * inner * STATE_SIZE
        moved += 2 * pixels * (2 * inner + columns)

    for module in network.modules():
        if isinstance(module, SS2D):
            module.register_forward_hook(count)
    image = torch.randn(batch, 3, size, size, device="cuda")
    flops = FlopCounterMode(display=False)
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16), flops:
        network(image)
    return {
        "exponentials_per_s": exp_rate,
        "bytes_per_s": byte_rate,
        "flops_per_s": flop_rate,
        "exponentials_ms": 1e3 * exponentials / exp_rate,
        "bytes_ms": 1e3 * moved / byte_rate,
        "products_ms": 1e3 * flops.get_total_flops() / flop_rate,
    }

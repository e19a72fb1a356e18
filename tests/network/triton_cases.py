"""What the Triton kernels must do; run by test_triton_scan.py, interpreted or on a GPU.

Interpreted they take about a millisecond for each step of a program, so sizes are tiny and chunks
are made short enough to have several.
"""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.selective_scan import (
    active_backend,
    obstacles,
    reference,
    selective_scan_2d,
    triton_tuning,
)
from napari_swin_umamba.network.selective_scan.custom_op import _scan

from .scan_inputs import NAMES, draw_inputs, relative_error, spread_time_steps, with_time_steps

INTERPRETED = obstacles.interprets_triton()
DEVICE = "cpu" if INTERPRETED else "cuda"
on_gpu = pytest.mark.skipif(INTERPRETED, reason="takes too long interpreted")


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    if INTERPRETED:
        monkeypatch.setattr(triton_tuning, "SHORTEST_CHUNK", 8)
        monkeypatch.setattr(triton_tuning, "ENOUGH_PROGRAMS", 16)


def scan(inputs: list[Tensor], grad_y: Tensor, dtype=torch.float32) -> tuple[Tensor, list[Tensor]]:
    maps = [x.to(DEVICE, dtype).requires_grad_() for x in inputs[:2]]
    own = maps + [x.to(DEVICE, torch.float32).requires_grad_() for x in inputs[2:]]
    y = selective_scan_2d(*own, backend="triton")
    grads = torch.autograd.grad(y, own, grad_y.to(DEVICE, torch.float32))
    return y.detach().cpu(), [g.cpu() for g in grads]


def check(inputs: list[Tensor], dtype=torch.float32, forward=1e-5, gradient=1e-4) -> None:
    generator = torch.Generator().manual_seed(2)
    grad_y = torch.randn(inputs[0].shape, generator=generator).double()

    y, grads = scan(inputs, grad_y, dtype)

    assert relative_error(y, reference.forward(*inputs)) <= forward
    for name, grad, truth in zip(NAMES, grads, reference.backward(grad_y, *inputs), strict=True):
        assert torch.isfinite(grad).all(), name
        assert relative_error(grad, truth) <= gradient, name


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 3), (4, 9)])
@pytest.mark.parametrize("batch", [1, 2])
def test_time_steps_of_all_sizes(height: int, width: int, batch: int) -> None:
    check(spread_time_steps(draw_inputs(height, width, batch)))


@on_gpu
@pytest.mark.parametrize(("height", "width"), [(32, 48), (127, 129), (128, 128)])
@pytest.mark.parametrize("batch", [1, 3])
def test_time_steps_of_all_sizes_on_large_maps(height: int, width: int, batch: int) -> None:
    check(spread_time_steps(draw_inputs(height, width, batch)))


@on_gpu
@pytest.mark.parametrize("step", [1e-6, 1e-4, 1e-3])
def test_errors_of_the_decay_do_not_pile_up(step: float) -> None:
    inputs = draw_inputs(128, 128, channels=2)
    inputs = with_time_steps(inputs, torch.full((1, 128, 128, 4, 2), step, dtype=torch.float64))

    y = selective_scan_2d(*[x.to(DEVICE, torch.float32) for x in inputs], backend="triton")

    assert relative_error(y.cpu(), reference.forward(*inputs)) <= 5e-4


@settings(
    max_examples=4 if INTERPRETED else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    height=st.integers(1, 4 if INTERPRETED else 40),
    width=st.integers(1, 5 if INTERPRETED else 40),
    channels=st.integers(1, 40 if INTERPRETED else 100),
    rank=st.integers(1, 20),
    states=st.integers(1, 17),
    seed=st.integers(0, 2**16),
)
def test_every_size(
    height: int, width: int, channels: int, rank: int, states: int, seed: int
) -> None:
    check(draw_inputs(height, width, 1, channels, rank, states, seed))


@pytest.mark.parametrize(
    ("height", "width", "channels"),
    [(1, 1, 3), (3, 3, 70), (4, 4, 16)],
    ids=["one", "parts of all, directions that meet in a pixel", "even"],
)
def test_blocks_of_all_sizes(height: int, width: int, channels: int) -> None:
    check(spread_time_steps(draw_inputs(height, width, 1, channels=channels, states=2)))


@pytest.mark.parametrize("rank", [1, 2, 17])
def test_time_steps_of_low_and_high_rank(rank: int) -> None:
    check(draw_inputs(3, 4, 1, rank=rank, states=2))


def test_several_items_of_a_program() -> None:
    batch = 2 if INTERPRETED else 64
    if INTERPRETED:
        plan = triton_tuning.plan_scan(batch, 12, 70, keep_states=True)
        assert 2 * batch * plan.chunks * 2 > 3  # programs that are launched without a GPU
    check(draw_inputs(3, 4, batch, channels=70, states=2))


@pytest.mark.parametrize("channels", [5, 32, 40])
@torch.no_grad()
def test_narrow_blocks_where_there_are_few(channels: int) -> None:
    inputs = spread_time_steps(draw_inputs(3, 5, 1, channels=channels, states=2))
    plan = triton_tuning.plan_scan(1, 15, channels, keep_states=False)
    assert plan.channels == triton_tuning.NARROW_CHANNELS

    y = selective_scan_2d(*[x.to(DEVICE, torch.float32) for x in inputs], backend="triton")

    assert relative_error(y.cpu(), reference.forward(*inputs)) <= 1e-5


def test_maps_whose_offsets_take_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_tuning, "LARGEST_OFFSET", 0)

    check(draw_inputs(3, 4, 1, channels=3, states=2))


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_strips_of_other_lengths(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_tuning, "SCAN_STEPS", steps)
    monkeypatch.setattr(triton_tuning, "WALK_STEPS", steps)

    check(draw_inputs(2, 5, 1, channels=3, states=2))


def test_huge_and_tiny_time_steps_give_numbers() -> None:
    inputs = [x.to(DEVICE, torch.float32).requires_grad_() for x in draw_inputs(3, 3)]
    for shift in (-200.0, 200.0):
        y = selective_scan_2d(*inputs[:3], inputs[3] + shift, *inputs[4:], backend="triton")
        grads = torch.autograd.grad(y.sum(), inputs)
        assert torch.isfinite(y).all()
        assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 2e-2), (torch.float16, 4e-3)])
def test_half_precision(dtype: torch.dtype, error: float) -> None:
    inputs = draw_inputs(3, 5)
    inputs[:2] = [x.to(dtype).double() for x in inputs[:2]]  # what the kernels are given

    check(inputs, dtype, forward=1e-5, gradient=error)


def test_the_result_has_the_type_that_is_asked_for() -> None:
    inputs = [x.to(DEVICE, torch.float32) for x in draw_inputs(2, 3)]
    inputs[0] = inputs[0].bfloat16()

    y = selective_scan_2d(*inputs, backend="triton", out_dtype=torch.bfloat16)

    assert y.dtype == torch.bfloat16
    whole = selective_scan_2d(*inputs, backend="triton")
    assert whole.dtype == torch.float32
    torch.testing.assert_close(y, whole.bfloat16())


def test_results_do_not_change_between_runs() -> None:
    inputs = draw_inputs(4, 5, channels=40) if INTERPRETED else draw_inputs(64, 64, 4, channels=96)
    grad_y = torch.ones_like(inputs[0])
    y, grads = scan(inputs, grad_y)

    for _ in range(1 if INTERPRETED else 20):
        again, grads_again = scan(inputs, grad_y)
        assert torch.equal(again, y)
        assert all(torch.equal(a, b) for a, b in zip(grads_again, grads, strict=True))


def test_an_empty_batch_gives_an_empty_result() -> None:
    y, grads = scan(draw_inputs(4, 5, batch=0), torch.zeros(0, 4, 5, 5))

    assert y.shape == (0, 4, 5, 5)
    assert not any(g.any() for g in grads)


def test_the_operator_keeps_torchs_rules() -> None:
    inputs = [x.to(DEVICE, torch.float32).requires_grad_() for x in draw_inputs(3, 4)]

    torch.library.opcheck(_scan, (*inputs, "triton", True, torch.float32))


def test_torch_compile_sees_one_node() -> None:
    inputs = [x.to(DEVICE, torch.float32) for x in draw_inputs(2, 3)]
    compiled = torch.compile(selective_scan_2d, backend="aot_eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its internals
        y = compiled(*inputs, backend="triton")

    torch.testing.assert_close(y, selective_scan_2d(*inputs, backend="triton"))


@on_gpu
def test_a_gpu_gets_these_kernels() -> None:
    assert active_backend("cuda").name == "triton"


@on_gpu
@pytest.mark.parametrize("name", ["swin-umamba", "swin-umamba-d"])
def test_networks_agree_with_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # cuDNN would round the factors of float32 convolutions to ten bits.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    network = build_network(name, 3, 2).eval()
    image = torch.randn(2, 3, 64, 96)
    expected = network(image).detach()  # not as in inference, which needs Numba
    with torch.inference_mode():
        on_device = network.to(DEVICE)(image.to(DEVICE)).cpu()

    assert (on_device - expected).abs().max() <= 1e-3 * expected.std() * math.sqrt(10)

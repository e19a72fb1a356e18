"""Vector code, thread pool and linear layers of the CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numba
import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_swin_umamba.network.cpu import functions, simd
from napari_swin_umamba.network.cpu.threads import run_all
from napari_swin_umamba.network.linear import linear


@numba.njit(error_model="numpy")
def _exp2(x, y):
    for i in range(0, x.size, 16):
        simd.store(y, i, functions.exp2(simd.load(x, i)))


@numba.njit(error_model="numpy")
def _softplus(x, y):
    for i in range(0, x.size, 16):
        simd.store(y, i, functions.softplus(simd.load(x, i)))


@numba.njit(error_model="numpy")
def _sigmoid(x, y):
    for i in range(0, x.size, 16):
        simd.store(y, i, functions.sigmoid(simd.load(x, i)))


@numba.njit(error_model="numpy")
def _lane_sums(x, y):
    simd.store(y, 0, simd.lane_sums(x, 0))


def apply(function, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    function(x, y)
    return y.astype(np.float64)


def grid(*parts: np.ndarray) -> np.ndarray:
    x = np.concatenate(parts).astype(np.float32)
    return x[: x.size // 16 * 16]


def test_exp2_is_right_to_a_float_and_a_half() -> None:
    x = grid(-np.linspace(0, 125, 50_000), -np.logspace(-9, 2, 50_000))

    assert np.abs(apply(_exp2, x) / np.exp2(x.astype(np.float64)) - 1).max() < 1e-7


def test_exp2_of_what_underflows_is_next_to_nothing() -> None:
    y = apply(_exp2, np.full(16, -1e30, np.float32))

    assert (y == 2.0**-126).all()


def test_exp2_near_zero_keeps_its_distance_from_one() -> None:
    x = grid(-np.logspace(-6, -3, 20_000))

    assert np.abs(apply(_exp2, x) - np.exp2(x.astype(np.float64))).max() <= 2.0**-25


def test_softplus_and_sigmoid_are_right_at_all_sizes() -> None:
    x = grid(np.linspace(-80, 80, 100_000), np.array([-1e4, 1e4] * 8))
    x64 = x.astype(np.float64)
    soft, sig = apply(_softplus, x), apply(_sigmoid, x)

    # Rounding of x itself, before the exponential, weighs more the larger x is.
    for low, tolerance in ((15, 2e-6), (80, 2e-5)):
        part = np.abs(x64) <= low
        truth, true_sigmoid = np.logaddexp(0, x64[part]), 1 / (1 + np.exp(-x64[part]))
        assert np.abs(soft[part] / truth - 1).max() < tolerance
        assert np.abs(sig[part] / true_sigmoid - 1).max() < tolerance
    assert (soft[x == 1e4] == 1e4).all()
    assert (soft[x == -1e4] < 1e-37).all()
    assert (sig[x == -1e4] < 1e-37).all()


def test_lane_sums_adds_each_of_sixteen_vectors() -> None:
    tile = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    y = np.empty(16, np.float32)

    _lane_sums(tile.reshape(-1), y)

    np.testing.assert_allclose(y, tile.sum(1), rtol=1e-6)


def test_nan_in_gives_nan_out() -> None:
    x = np.full(16, np.nan, np.float32)

    assert np.isnan(apply(_softplus, x)).all()
    assert np.isnan(apply(_sigmoid, x)).all()


class TestThreads:
    @pytest.fixture(autouse=True)
    def two_threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        yield
        torch.set_num_threads(before)

    def test_every_task_runs_once(self) -> None:
        counts = [0] * 50

        def task(i: int) -> None:
            counts[i] += 1

        run_all([lambda i=i: task(i) for i in range(50)])

        assert counts == [1] * 50

    def test_errors_reach_the_caller(self) -> None:
        def fail() -> None:
            raise RuntimeError("third task")

        with pytest.raises(RuntimeError, match="third task"):
            run_all([lambda: None, lambda: None, fail])

    def test_one_thread_means_this_thread(self) -> None:
        before = torch.get_num_threads()
        names: set[str] = set()
        torch.set_num_threads(1)
        try:
            run_all([lambda: names.add(threading.current_thread().name)] * 3)
        finally:
            torch.set_num_threads(before)

        assert names == {threading.current_thread().name}

    def test_nothing_to_do_is_fine(self) -> None:
        run_all([])

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_the_pool_is_made_anew_after_a_fork(self) -> None:
        run_all([lambda: None] * 4)
        from napari_swin_umamba.network.cpu import threads

        assert {pid for pid, _ in threads._pools} <= {os.getpid()}


@pytest.mark.parametrize("bias", [True, False])
def test_linear_equals_torchs_in_value_and_gradient(bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 7, 24, requires_grad=True)
    weight = torch.randn(40, 24, requires_grad=True)
    b = torch.randn(40, requires_grad=True) if bias else None
    inputs = [t for t in (x, weight, b) if t is not None]
    grad = torch.randn(2, 5, 7, 40)

    ours, theirs = linear(x, weight, b), functional.linear(x, weight, b)

    assert ours.is_contiguous()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for a, e in zip(
        torch.autograd.grad(ours, inputs, grad),
        torch.autograd.grad(theirs, inputs, grad),
        strict=True,
    ):
        torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-4)

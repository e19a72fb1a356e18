"""The scan: the reference against its definition, the fast backends against the reference."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network.selective_scan import (
    active_backend,
    backends,
    check_backend,
    obstacles,
    reference,
    selective_scan_2d,
)
from napari_swin_umamba.network.selective_scan.custom_op import _scan

from .scan_inputs import NAMES, draw_inputs, relative_error, with_time_steps

SIZES = [(1, 1), (1, 7), (5, 3), (32, 48), (128, 128)]


def run_float32(inputs: list[Tensor], grad_y: Tensor) -> tuple[Tensor, list[Tensor]]:
    own = [x.float().requires_grad_() for x in inputs]
    y = selective_scan_2d(*own, backend="numba")
    return y.detach(), list(torch.autograd.grad(y, own, grad_y.float()))


def test_reference_follows_its_definition_pixel_by_pixel() -> None:
    u, x_dbl, dt_weight, dt_bias, A, D = inputs = draw_inputs(3, 4, states=2, channels=2, rank=1)
    paths = [
        [(r, c) for r in range(3) for c in range(4)],
        [(r, c) for c in range(4) for r in range(3)],
    ]
    paths += [path[::-1] for path in paths]
    expected = torch.zeros_like(u)
    for k, path in enumerate(paths):
        h = torch.zeros(2, 2, dtype=torch.float64)
        for row, column in path:
            dt, b, c = x_dbl[0, row, column].view(4, 5)[k].split([1, 2, 2])
            delta = torch.log1p(torch.exp(dt_weight[k] @ dt + dt_bias[k]))
            value = u[0, row, column]
            h = torch.exp(delta[:, None] * A[k]) * h + (delta * value)[:, None] * b
            expected[0, row, column] += h @ c + D[k] * value

    torch.testing.assert_close(reference.forward(*inputs), expected)


def test_gradients_of_the_reference_are_those_of_finite_differences() -> None:
    inputs = draw_inputs(2, 3, batch=2, channels=2, rank=1, states=2)
    for x in inputs:
        x.requires_grad_()

    assert torch.autograd.gradcheck(
        lambda *tensors: selective_scan_2d(*tensors, backend="reference"), inputs
    )


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_kernels_agree_with_float64_for_time_steps_of_all_sizes(
    height: int, width: int, batch: int
) -> None:
    channels = 5
    inputs = draw_inputs(height, width, batch, channels)
    low, high = math.log(1e-6), math.log(20)
    shape = (batch, height, width, 4, channels)
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    inputs = with_time_steps(inputs, torch.exp(low + (high - low) * uniform))
    grad_y = torch.randn(batch, height, width, channels, generator=generator).double()
    if height == 128:  # gradients of 16,384 steps: the slow tests have them
        y = selective_scan_2d(*[x.float() for x in inputs], backend="numba")
        assert relative_error(y, reference.forward(*inputs)) <= 1e-5
        return

    y, grads = run_float32(inputs, grad_y)

    assert relative_error(y, reference.forward(*inputs)) <= 1e-5
    for name, grad, truth in zip(NAMES, grads, reference.backward(grad_y, *inputs), strict=True):
        assert torch.isfinite(grad).all(), name
        assert relative_error(grad, truth) <= 1e-4, name


@pytest.mark.slow
def test_gradients_agree_with_float64_over_16384_steps() -> None:
    inputs = draw_inputs(128, 128)
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(1, 128, 128, 4, 5, generator=generator, dtype=torch.float64)
    inputs = with_time_steps(inputs, torch.exp(math.log(1e-6) + math.log(2e7) * uniform))
    grad_y = torch.randn(1, 128, 128, 5, generator=generator).double()

    _, grads = run_float32(inputs, grad_y)

    for name, grad, truth in zip(NAMES, grads, reference.backward(grad_y, *inputs), strict=True):
        assert relative_error(grad, truth) <= 1e-4, name


@pytest.mark.parametrize("step", [1e-6, 1e-4, 1e-3])
def test_errors_of_the_decay_do_not_pile_up_over_16384_steps(step: float) -> None:
    inputs = draw_inputs(128, 128, channels=2)
    delta = torch.full((1, 128, 128, 4, 2), step, dtype=torch.float64)
    inputs = with_time_steps(inputs, delta)

    y = selective_scan_2d(*[x.float() for x in inputs], backend="numba")

    assert relative_error(y, reference.forward(*inputs)) <= 5e-4


def test_huge_and_tiny_time_steps_give_numbers() -> None:
    inputs = [x.float().requires_grad_() for x in draw_inputs(8, 8)]
    for shift in (-200.0, 200.0):
        y = selective_scan_2d(*inputs[:3], inputs[3] + shift, *inputs[4:], backend="numba")
        grads = torch.autograd.grad(y.sum(), inputs)
        assert torch.isfinite(y).all()
        assert all(torch.isfinite(g).all() for g in grads)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.integers(1, 40),
    rank=st.integers(1, 5),
    states=st.integers(1, 17),
    seed=st.integers(0, 2**16),
)
def test_kernels_handle_every_size(
    height: int, width: int, channels: int, rank: int, states: int, seed: int
) -> None:
    inputs = draw_inputs(height, width, 1, channels, rank, states, seed)
    grad_y = torch.ones_like(inputs[0])

    y, grads = run_float32(inputs, grad_y)

    assert relative_error(y, reference.forward(*inputs)) <= 1e-5
    for name, grad, truth in zip(NAMES, grads, reference.backward(grad_y, *inputs), strict=True):
        assert relative_error(grad, truth) <= 1e-4, name


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 2**16))
def test_turning_the_map_turns_the_result(height: int, width: int, seed: int) -> None:
    u, x_dbl, dt_weight, dt_bias, A, D = (x.float() for x in draw_inputs(height, width, seed=seed))
    x = x_dbl.unflatten(-1, (4, -1))
    turned_over = [2, 3, 0, 1]  # seen from the other end, a traversal is its own reverse

    y = selective_scan_2d(u, x_dbl, dt_weight, dt_bias, A, D, backend="numba")
    turned = selective_scan_2d(
        u.flip(1, 2),
        x.flip(1, 2)[..., turned_over, :].flatten(3),
        *(w[turned_over] for w in (dt_weight, dt_bias, A, D)),
        backend="numba",
    )

    torch.testing.assert_close(turned.flip(1, 2), y, rtol=1e-5, atol=1e-5)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    inputs = draw_inputs(16, 24, batch=2, channels=96)
    grad_y = torch.randn_like(inputs[0])
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(run_float32(inputs, grad_y))
    finally:
        torch.set_num_threads(before)

    for y, grads in results[1:]:
        assert torch.equal(y, results[0][0])
        assert all(torch.equal(a, b) for a, b in zip(grads, results[0][1], strict=True))


def test_many_threads_may_scan_at_once() -> None:
    inputs = draw_inputs(24, 24, batch=2, channels=48)
    grad_y = torch.randn_like(inputs[0])
    expected, _ = run_float32(inputs, grad_y)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: run_float32(inputs, grad_y)[0], range(32)))

    assert all(torch.equal(y, expected) for y in results)


LOADER = """
import sys, torch
from torch.utils.data import DataLoader, Dataset
from napari_swin_umamba.network.selective_scan import selective_scan_2d

def scan():
    torch.manual_seed(0)
    inputs = [torch.randn(s) for s in ((1, 9, 9, 48), (1, 9, 9, 4 * 34), (4, 48, 2), (4, 48))]
    A, D = -torch.rand(4, 48, 16), torch.ones(4, 48)
    torch.set_num_threads(2)  # loaders set one: with two, the child needs a pool of its own
    return selective_scan_2d(*inputs, A, D, backend="numba")

class Scans(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return scan()

if __name__ == "__main__":
    expected = scan()
    for method in sys.argv[1:]:
        workers = 2 if method == "fork" else 1  # each that is spawned imports torch
        loader = DataLoader(
            Scans(), batch_size=1, num_workers=workers, multiprocessing_context=method
        )
        assert all(torch.equal(y[0], expected) for y in loader)
        print(method, "ok")
"""


def test_loader_workers_may_scan_after_their_parent_did(tmp_path: Path) -> None:
    # Windows has no fork.
    methods = ["spawn"] if sys.platform == "win32" else ["fork", "spawn"]
    script = tmp_path / "loader.py"
    script.write_text(LOADER)

    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *methods],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.stdout.splitlines() == [f"{method} ok" for method in methods], result.stderr


def test_the_operator_keeps_torchs_rules() -> None:
    for channels in (16, 17):
        inputs = [x.float().requires_grad_() for x in draw_inputs(4, 5, channels=channels)]

        torch.library.opcheck(_scan, (*inputs, "numba", True, torch.float32))


def test_torch_compile_sees_one_node() -> None:
    inputs = [x.float() for x in draw_inputs(4, 5, channels=16)]
    compiled = torch.compile(selective_scan_2d, backend="aot_eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its internals
        y = compiled(*inputs)

    torch.testing.assert_close(y, selective_scan_2d(*inputs))


def test_half_precision_goes_in_and_float32_comes_out() -> None:
    inputs = [x.float() for x in draw_inputs(4, 5)]
    u = inputs[0].bfloat16()

    y = selective_scan_2d(u, *inputs[1:])

    assert y.dtype == torch.float32
    torch.testing.assert_close(y, selective_scan_2d(u.float(), *inputs[1:]))


def test_an_empty_batch_gives_an_empty_result() -> None:
    inputs = [x.float().requires_grad_() for x in draw_inputs(4, 5, batch=0)]

    y = selective_scan_2d(*inputs, backend="numba")
    grads = torch.autograd.grad(y.sum(), inputs)

    assert y.shape == (0, 4, 5, 5)
    assert not any(g.any() for g in grads)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_second_derivatives_are_refused(backend: str) -> None:
    inputs = [x.float().requires_grad_() for x in draw_inputs(2, 3)]
    y = selective_scan_2d(*inputs, backend=backend)
    (grad,) = torch.autograd.grad(y.square().sum(), inputs[:1], create_graph=True)

    with pytest.raises(RuntimeError, match="twice"):
        grad.sum().backward()


def test_shapes_that_do_not_fit_are_named() -> None:
    inputs = [x.float() for x in draw_inputs(4, 5)]
    with pytest.raises(ValueError, match=r"dt_bias must have shape \(4, 5\).*got \(4, 4\)"):
        selective_scan_2d(*inputs[:3], inputs[3][:, :4], *inputs[4:])


class TestChoiceOfBackend:
    def test_the_cpu_gets_compiled_kernels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(backends.ENVIRONMENT_VARIABLE, raising=False)

        assert active_backend("cpu").name == "numba"

    def test_the_environment_variable_is_read_at_each_call(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(backends.ENVIRONMENT_VARIABLE, "reference")
        chosen = active_backend("cpu")
        assert chosen.name == "reference"
        assert backends.ENVIRONMENT_VARIABLE in chosen.reason

        monkeypatch.setenv(backends.ENVIRONMENT_VARIABLE, "numba")
        assert active_backend("cpu").name == "numba"

    def test_an_argument_beats_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(backends.ENVIRONMENT_VARIABLE, "numba")

        assert active_backend("cpu", "reference").name == "reference"

    def test_unknown_and_impossible_choices_say_where_they_come_from(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(backends.ENVIRONMENT_VARIABLE, "cuda")
        with pytest.raises(InputError, match=f"'cuda' .from {backends.ENVIRONMENT_VARIABLE}"):
            active_backend("cpu")
        with pytest.raises(InputError, match="runs on the CPU, not on cuda"):
            active_backend("cuda", "numba")

    def test_a_slow_choice_that_nobody_made_is_told_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(backends.ENVIRONMENT_VARIABLE, raising=False)
        monkeypatch.setattr(obstacles, "_installed", lambda module: False)
        backends._warn_slow.cache_clear()
        with pytest.warns(RuntimeWarning, match="is slow: Numba is not installed"):
            assert backends.resolve_backend("cpu", None, 128 * 128) == "torch"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            backends.resolve_backend("cpu", None, 128 * 128)
            backends.resolve_backend("cpu", "reference", 128 * 128)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_backend_can_be_checked_in_the_middle_of_a_prediction(backend: str) -> None:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert check_backend(backend, torch.device("cpu")).passed


def test_self_check_passes_and_names_the_backend() -> None:
    result = check_backend(active_backend().name, torch.device("cpu"))

    assert result.passed
    assert result.backend == active_backend().name


def run_python(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_importing_the_networks_compiles_nothing_and_starts_no_thread() -> None:
    out = run_python(
        "import threading, sys, napari_swin_umamba.network as n;"
        "print({'numba', 'torch._dynamo'} & set(sys.modules), threading.active_count())"
    )

    assert out.split() == ["set()", "1"]


@pytest.mark.slow
def test_cold_compilation_is_announced_and_short(tmp_path: Path) -> None:
    code = (
        f"import os, time; os.environ['NUMBA_CACHE_DIR'] = {str(tmp_path)!r}\n"
        "import torch, numba\n"
        "from napari_swin_umamba.network.selective_scan import numba_backend as b\n"
        "start = time.perf_counter(); b.warm_up(backward=False)\n"
        "middle = time.perf_counter(); b.warm_up(backward=True)\n"
        "print(middle - start, time.perf_counter() - start)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]

    cold = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    warm = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    forward, both = map(float, cold.stdout.split())
    assert forward <= 10
    assert both <= 25
    assert cold.stderr.count("compiling") == 2
    assert "compiling" not in warm.stderr

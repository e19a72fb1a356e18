"""Backends without kernels of ours, the choice among all, and what compiles and exports."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.selective_scan import (
    active_backend,
    backend_statuses,
    backends,
    check_backend,
    measure_speed,
    obstacles,
    reference,
    selective_scan_2d,
    torch_backend,
)
from napari_swin_umamba.network.selective_scan.custom_op import _scan, scan_with

from .scan_inputs import NAMES, draw_inputs, relative_error, spread_time_steps

TINY = "swin-umamba-d-tiny"


@pytest.fixture(autouse=True)
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(backends.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(obstacles, "_tested", {})


class TestTorch:
    @settings(max_examples=15, deadline=None)
    @given(
        height=st.integers(1, 12),
        width=st.integers(1, 12),
        batch=st.integers(1, 2),
        states=st.integers(1, 17),
        stretch=st.sampled_from([1, 2000, 1 << 20]),
        seed=st.integers(0, 2**16),
    )
    def test_every_size(
        self, height: int, width: int, batch: int, states: int, stretch: int, seed: int
    ) -> None:
        inputs = draw_inputs(height, width, batch, 3, 2, states, seed)

        y = torch_backend.forward(*inputs, stretch_elements=stretch)

        torch.testing.assert_close(y, reference.forward(*inputs))

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 3), (32, 48)])
    def test_time_steps_of_all_sizes(self, height: int, width: int) -> None:
        inputs = spread_time_steps(draw_inputs(height, width, 2))
        grad_y = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(2)).double()

        own = [x.float().requires_grad_() for x in inputs]
        y = selective_scan_2d(*own, backend="torch")
        grads = torch.autograd.grad(y, own, grad_y.float())

        assert relative_error(y.detach(), reference.forward(*inputs)) <= 1e-5
        truths = reference.backward(grad_y, *inputs)
        for name, grad, truth in zip(NAMES, grads, truths, strict=True):
            assert relative_error(grad, truth) <= 1e-4, name

    def test_gradients_cross_the_borders_of_stretches(self) -> None:
        inputs = [x.requires_grad_() for x in draw_inputs(3, 4, 1, 2, 1, 2)]

        y = torch_backend.forward(*inputs, stretch_elements=80)
        grads = torch.autograd.grad(y.square().sum(), inputs)

        truth = reference.backward(2 * y.detach(), *[x.detach() for x in inputs])
        torch.testing.assert_close(grads, truth)

    def test_there_is_no_loop_over_pixels(self) -> None:
        class Count(TorchDispatchMode):
            operations = 0

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
                self.operations += 1
                return func(*args, **(kwargs or {}))

        counts = []
        for side in (8, 32):
            inputs = [x.float() for x in draw_inputs(side, side, channels=2, states=4)]
            with torch.no_grad(), Count() as count:
                torch_backend.forward(*inputs)
            counts.append(count.operations)

        assert counts[1] < 2 * counts[0]  # for sixteen times as many pixels

    def test_the_operator_keeps_torchs_rules(self) -> None:
        inputs = [x.float().requires_grad_() for x in draw_inputs(4, 5)]

        torch.library.opcheck(_scan, (*inputs, "torch", False, torch.float32))


def mamba_scan(u, delta, A, B, C, D, delta_bias=None, delta_softplus=False):  # type: ignore[no-untyped-def]
    """What ``mamba_ssm.ops.selective_scan_interface.selective_scan_fn`` is documented to return."""
    assert delta_softplus
    assert all(x.is_contiguous() for x in (u, delta, A, B, C, D, delta_bias))
    delta = functional.softplus(delta + delta_bias[:, None])
    B, C = (x.repeat_interleave(u.shape[1] // x.shape[1], dim=1) for x in (B, C))
    h, steps = torch.zeros(*u.shape[:2], A.shape[1], device=u.device), []
    for t in range(u.shape[2]):
        drive = (delta[:, :, t] * u[:, :, t])[..., None] * B[..., t]
        h = torch.exp(delta[:, :, t, None] * A) * h + drive
        steps.append((h * C[..., t]).sum(-1))
    return torch.stack(steps, dim=2) + D[:, None] * u


class TestMambaSsm:
    """The package needs a GPU; a stand-in with its interface shows what is made of its answers."""

    @pytest.fixture
    def install(self, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
        def put(function) -> None:  # type: ignore[no-untyped-def]
            for name in ("mamba_ssm", "mamba_ssm.ops"):
                monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
            module = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
            module.selective_scan_fn = function  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module.__name__, module)

        return put

    def test_its_arguments_are_laid_out_as_documented(self, install) -> None:  # type: ignore[no-untyped-def]
        install(mamba_scan)

        assert check_backend("mamba_ssm", torch.device("cpu")).passed
        assert obstacles._self_test("mamba_ssm", torch.device("cpu")) is None

    def test_without_its_kernel_the_reason_is_told(self, install) -> None:  # type: ignore[no-untyped-def]
        def without_kernel(*args: object, **options: object) -> Tensor:
            raise AttributeError("'NoneType' object has no attribute 'fwd'")

        install(without_kernel)

        words = obstacles._self_test("mamba_ssm", torch.device("cpu"))
        assert words == (
            "its self-test failed: AttributeError: 'NoneType' object has no attribute 'fwd'"
        )
        obstacle = obstacles.find_obstacle("mamba_ssm", torch.device("cuda"))
        assert obstacle is not None
        assert "MAMBA_KEEP_CUDA_BUILD=TRUE" in obstacle

    def test_wrong_results_are_not_trusted(self, install) -> None:  # type: ignore[no-untyped-def]
        install(lambda *args, **options: 1.01 * mamba_scan(*args, **options))

        words = obstacles._self_test("mamba_ssm", torch.device("cpu"))
        assert words is not None
        assert words.startswith("its self-test gave wrong results (error 1e-02 forward")


class TestChoice:
    def test_without_a_kernel_torch_runs_and_all_reasons_are_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(obstacles, "_installed", lambda module: False)

        chosen = active_backend("cuda")

        assert chosen.name == "torch"
        assert not chosen.compiled
        assert "triton: Triton is not installed: pip install triton" in chosen.reason
        assert "mamba_ssm: mamba-ssm is not installed: MAMBA_KEEP_CUDA_BUILD" in chosen.reason
        assert active_backend("mps").reason == "there is no scan kernel for mps devices"

    def test_a_kernel_that_fails_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            backends, "find_obstacle", lambda name, device: "broken" if name == "triton" else None
        )

        chosen = active_backend("cuda")

        assert chosen.name == "mamba_ssm"
        assert chosen.reason == "CUDA kernels of mamba-ssm (triton: broken)"

    @pytest.mark.parametrize(
        ("name", "device", "words"),
        [
            ("triton", "cpu", "runs on NVIDIA and AMD GPUs, not on cpu"),
            ("triton", "cuda", "pip install triton"),
            ("mamba_ssm", "cuda", "pip install --no-build-isolation mamba-ssm"),
            ("numba", "cpu", "pip install numba"),
            ("numba", "mps", "choose the CPU"),
        ],
    )
    def test_naming_what_cannot_run_says_what_to_do(
        self, name: str, device: str, words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(obstacles, "_installed", lambda module: False)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)

        with pytest.raises(InputError, match=words):
            active_backend(device, name)

    def test_every_backend_has_a_status(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)

        statuses = {status.name: status for status in backend_statuses("cpu")}

        assert tuple(statuses) == backends.BACKENDS
        available = [name for name, status in statuses.items() if status.available]
        assert available == ["numba", "torch", "reference"]
        assert all(status.reason for status in statuses.values())

    def test_short_memory_is_no_verdict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_memory(*args: object, **options: object) -> None:
            raise torch.OutOfMemoryError("full")

        monkeypatch.setattr(obstacles, "check_backend", no_memory)

        assert "memory" in str(obstacles._self_test("torch", torch.device("cpu")))
        monkeypatch.undo()
        assert obstacles._self_test("torch", torch.device("cpu")) is None


def test_speed_is_measured_within_the_time_given() -> None:
    speed = measure_speed("numba", torch.device("cpu"), seconds=0.0)

    assert speed.forward_ms > 0
    assert speed.training_ms is None


@pytest.mark.parametrize("backend", ["numba", "torch", "reference"])
def test_the_result_has_the_type_that_is_asked_for(backend: str) -> None:
    inputs = [x.float().requires_grad_() for x in draw_inputs(2, 3)]

    y = scan_with(backend, *inputs, out_dtype=torch.bfloat16)
    y.sum().backward()

    assert y.dtype == torch.bfloat16
    assert all(x.grad is not None and x.grad.dtype == torch.float32 for x in inputs)


@pytest.mark.parametrize("backend", ["numba", "torch", "reference"])
def test_autocast_does_not_lower_the_precision_inside(backend: str) -> None:
    inputs = [x.float().requires_grad_() for x in draw_inputs(3, 4)]
    expected = scan_with(backend, *inputs)
    grads = torch.autograd.grad(expected.sum(), inputs)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = scan_with(backend, *inputs)
        grads_inside = torch.autograd.grad(y.sum(), inputs)

    assert torch.equal(y, expected)
    assert all(torch.equal(a, b) for a, b in zip(grads_inside, grads, strict=True))


class TestCompiling:
    @pytest.mark.parametrize("name", ["swin-umamba", TINY])
    def test_networks_compile_whole(self, name: str) -> None:
        torch.manual_seed(0)
        network = build_network(name, 1, 2).eval()
        image = torch.randn(1, 1, 32, 32)
        with torch.no_grad():
            expected = network(image)
            y = compiled(network)(image)

        torch.testing.assert_close(y, expected, rtol=1e-3, atol=1e-4)

    def test_a_training_step_compiles_whole(self) -> None:
        torch.manual_seed(0)
        network = build_network(TINY, 1, 2).eval()  # dropping paths is random
        image = torch.randn(1, 1, 32, 32)
        gradients = []
        for run in (network, compiled(network)):
            network.zero_grad()
            run(image).square().mean().backward()
            gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])

        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


def compiled(network: torch.nn.Module):  # type: ignore[no-untyped-def]
    torch._dynamo.reset()
    run = torch.compile(network, backend="aot_eager", fullgraph=True)

    def quietly(image: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its internals
            return run(image)

    return quietly


@pytest.fixture
def case() -> tuple[torch.nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    network = build_network(TINY, 1, 2).eval()
    image = torch.randn(1, 1, 32, 64)
    with torch.no_grad():
        return network, image, network(image)


class TestExport:
    def test_an_exported_network_is_torch_operations_alone(self, case) -> None:  # type: ignore[no-untyped-def]
        network, image, expected = case
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (image,))
            y = program.module()(image)

        torch.testing.assert_close(y, expected, rtol=1e-3, atol=1e-4)
        calls = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
        assert not [c for c in calls if "swin_umamba" in c or "mkldnn" in c]

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_onnx_runs_it(self, case, tmp_path) -> None:  # type: ignore[no-untyped-def]
        pytest.importorskip("onnxscript", reason="needs pip install onnx onnxscript onnxruntime")
        runtime = pytest.importorskip("onnxruntime")
        network, image, expected = case
        path = tmp_path / "network.onnx"
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (image,), path, dynamo=True, optimize=False)
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})

        np.testing.assert_allclose(y, expected.numpy(), rtol=1e-3, atol=1e-4)

"""What holds for every network."""

from __future__ import annotations

import pytest
import torch

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import ARCHITECTURES, build_network
from napari_swin_umamba.network.blocks import DropPath, PatchExpand, PatchMerging

TINY = "swin-umamba-d-tiny"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_lie_on_the_image_grid(name: str) -> None:
    network = build_network(name, 2, 3).eval()
    with torch.inference_mode():
        logits = network(torch.randn(2, 2, 32, 64))

    assert logits.shape == (2, 3, 32, 64)


@pytest.mark.parametrize(("name", "scales"), [("swin-umamba", (1, 2, 4, 8)), (TINY, (1, 4, 8, 16))])
def test_deep_supervision_returns_all_scales_finest_first(name: str, scales: tuple) -> None:
    network = build_network(name, 1, 2, deep_supervision=True).eval()
    with torch.inference_mode():
        outputs = network(torch.randn(1, 1, 64, 32))

    assert [tuple(x.shape) for x in outputs] == [(1, 2, 64 // s, 32 // s) for s in scales]


@pytest.mark.parametrize("name", ["swin-umamba", TINY])
def test_deep_supervision_changes_neither_tensors_nor_the_finest_output(name: str) -> None:
    plain, deep = build_network(name, 1, 2).eval(), build_network(name, 1, 2, True).eval()
    deep.load_state_dict(plain.state_dict())
    image = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(plain(image), deep(image)[0])


@pytest.mark.parametrize("name", ["swin-umamba", TINY])
def test_every_parameter_receives_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, 1, 2, deep_supervision=True)

    sum(x.square().mean() for x in network(torch.randn(2, 1, 64, 64))).backward()

    # Decays far from a pixel can underflow for single values, never for a whole tensor.
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", ["swin-umamba", TINY])
def test_fast_inference_equals_the_differentiable_pass(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, 3, 2).eval()
    image = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        fast = network(image)
    torch.testing.assert_close(fast, network(image), rtol=1e-4, atol=1e-4)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    network = build_network(TINY, 1, 2).eval()
    images = torch.randn(3, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-4, atol=1e-5)


def test_the_seed_decides_the_initial_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        network = build_network(TINY, 1, 2)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_unknown_names_and_impossible_channels_are_refused() -> None:
    with pytest.raises(InputError, match="'unet'.*swin-umamba-d-tiny"):
        build_network("unet", 1, 2)
    with pytest.raises(InputError, match="in_channels must be at least 1, got 0"):
        build_network(TINY, 0, 2)
    with pytest.raises(InputError, match="num_classes must be at least 1, got -1"):
        build_network(TINY, 1, -1)


def test_drop_path_drops_whole_samples_only_while_training() -> None:
    torch.manual_seed(0)
    layer, x = DropPath(0.25), torch.ones(4000, 2, 3)

    y = layer(x)

    kept = y[:, 0, 0] > 0
    assert torch.equal(y, kept[:, None, None] * torch.full_like(x, 1 / 0.75))
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


def test_patch_merging_takes_the_four_neighbours_column_by_column() -> None:
    layer = PatchMerging(1)
    layer.norm = torch.nn.Identity()
    with torch.no_grad():
        layer.reduction.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]))
        y = layer(torch.arange(16.0).view(1, 4, 4, 1))

    assert y[0, 1, 1].tolist() == [10.0, 14.0]  # (row 2, column 2), then the pixel below it


def test_patch_expand_puts_fine_pixels_row_by_row() -> None:
    layer = PatchExpand(1, 1, scale=2)
    layer.norm = torch.nn.Identity()
    with torch.no_grad():
        layer.expand.weight.copy_(torch.arange(4.0).view(4, 1))
        y = layer(torch.tensor([[[[1.0], [10.0]]]]))

    assert y[0, :, :, 0].tolist() == [[0, 1, 0, 10], [2, 3, 20, 30]]


def test_networks_run_in_double_precision_and_under_autocast() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, 1, 2).eval()
    image = torch.randn(1, 1, 32, 64)
    with torch.inference_mode():
        expected = network(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(image)
        double = network.double()(image.double())

    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected, rtol=1e-3, atol=1e-4)
    assert (half.float() - expected).abs().max() < 0.1 * expected.abs().max()


def test_networks_run_in_bfloat16() -> None:
    network = build_network(TINY, 1, 2).eval().bfloat16()
    with torch.inference_mode():
        logits = network(torch.randn(1, 1, 32, 32).bfloat16())

    assert logits.dtype == torch.bfloat16
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["swin-umamba", TINY])
@pytest.mark.parametrize("shape", [(1, 3, 33, 64), (1, 3, 64, 47), (1, 2, 32, 32), (3, 32, 32)])
def test_images_of_another_shape_are_refused(name: str, shape: tuple[int, ...]) -> None:
    network = build_network(name, 3, 2)

    with pytest.raises(ValueError, match=rf"multiples of 32, got \({shape[0]}, {shape[1]}"):
        network(torch.zeros(shape))


def test_a_training_step_runs_under_autocast() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, 1, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(torch.randn(1, 1, 32, 32)).float().square().mean()
    loss.backward()

    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)

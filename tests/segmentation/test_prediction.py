"""Tiled prediction, with networks whose answer on the whole image is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.network import build_network
from napari_swin_umamba.segmentation import predict_logits, resolve_device
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.prediction import predict_bands, predict_fitting
from napari_swin_umamba.segmentation.tiling import make_tiling

RNG = np.random.default_rng(0)


class Constant(torch.nn.Module):
    """Gives class i the logit i everywhere, and minds what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2] % 32 == 0
        assert x.shape[3] % 32 == 0
        assert not self.training
        logits = torch.arange(3.0).view(1, 3, 1, 1)
        return logits.expand(len(x), 3, *x.shape[2:])


class PerPixel(torch.nn.Module):
    """Twice and thrice the first channel: the same for every tiling."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([2 * x[:, :1], 3 * x[:, :1]], dim=1)


class PlaceDependent(torch.nn.Module):
    """A running sum from the tile's top left corner: differs from tile to tile."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x.cumsum(2).cumsum(3) / 100], dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_gets_its_own_precision(dtype: torch.dtype) -> None:
    network = torch.nn.Conv2d(1, 2, 1)
    image = RNG.normal(size=(1, 40, 50)).astype(np.float32)
    expected = predict_logits(network, image, (32, 32), device="cpu")
    logits = predict_logits(network.to(dtype), image, (32, 32), device="cpu")
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=0.05)


def test_the_real_network_in_double_precision() -> None:
    network = build_network("swin-umamba-d-tiny", 1, 2)
    image = RNG.normal(size=(1, 40, 50)).astype(np.float32)
    expected = predict_logits(network, image, (64, 64), device="cpu")
    logits = predict_logits(network.double(), image, (64, 64), device="cpu")
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-3)


shapes = st.tuples(st.integers(1, 150), st.integers(1, 150))
patches = st.tuples(st.sampled_from([32, 64, 96]), st.sampled_from([32, 64, 96]))


@settings(deadline=None, max_examples=40)
@given(shapes, patches, st.floats(0, 0.75), st.booleans(), st.booleans())
def test_any_size(
    shape: tuple[int, int], patch: tuple[int, int], overlap: float, mirror: bool, whole: bool
) -> None:
    image = RNG.normal(size=(1, *shape)).astype(np.float32)
    options = {"overlap": overlap, "mirror": mirror, "pad_to_patch": whole, "device": "cpu"}
    constant = predict_logits(Constant(), image, patch, **options)
    assert constant.shape == (3, *shape)
    np.testing.assert_allclose(constant, np.arange(3)[:, None, None] + 0 * constant, atol=1e-5)
    per_pixel = predict_logits(PerPixel(), image, patch, **options)
    np.testing.assert_allclose(per_pixel, image * [[[2]], [[3]]], rtol=1e-4, atol=1e-5)


def _nnunet(network: torch.nn.Module, image: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """Sliding window of nnU-Net with its three full-size arrays, written from its description."""
    size = [max(n, p) for n, p in zip(image.shape[1:], patch, strict=True)]
    pad = [(a - b) // 2 for a, b in zip(size, image.shape[1:], strict=True)]
    padded = np.zeros((len(image), *size), np.float32)
    inside = tuple(slice(p, p + n) for p, n in zip(pad, image.shape[1:], strict=True))
    padded[(slice(None), *inside)] = image
    impulse = np.zeros(patch)
    impulse[patch[0] // 2, patch[1] // 2] = 1
    weight = gaussian_filter(impulse, [p / 8 for p in patch], mode="constant")
    weight *= 10 / weight.max()
    logits, counts = 0.0, np.zeros(size)
    starts = []
    for n, p in zip(size, patch, strict=True):
        steps = int(np.ceil((n - p) / (p * 0.5))) + 1
        stride = (n - p) / (steps - 1) if steps > 1 else 0
        starts.append([int(np.round(stride * i)) for i in range(steps)])
    for y in starts[0]:
        for x in starts[1]:
            where = (slice(None), slice(y, y + patch[0]), slice(x, x + patch[1]))
            tile = torch.from_numpy(padded[where])[None]
            flips = [torch.flip(network(torch.flip(tile, d)), d) for d in ((), (2,), (3,), (2, 3))]
            mean = (sum(flips) / 4)[0].double().numpy()
            full = np.zeros((len(mean), *size))
            full[where] = mean * weight
            logits = logits + full
            counts[where[1:]] += weight
    return (logits / counts)[(slice(None), *inside)]


@pytest.mark.parametrize("shape", [(150, 101), (40, 200), (64, 64), (5, 9)])
def test_same_as_nnunet(shape: tuple[int, int]) -> None:
    image = RNG.normal(size=(2, *shape)).astype(np.float32)
    network = PlaceDependent()
    ours = predict_logits(network, image, (64, 96), mirror=True, device="cpu", pad_to_patch=True)
    np.testing.assert_allclose(ours, _nnunet(network, image, (64, 96)), atol=2e-5)


def test_a_real_network_on_one_tile_is_just_called() -> None:
    torch.manual_seed(0)
    network = build_network("swin-umamba-d-tiny", 1, 2).eval()
    image = RNG.normal(size=(1, 64, 64)).astype(np.float32)
    with torch.inference_mode():
        direct = network(torch.from_numpy(image)[None])[0].numpy()
    tiled = predict_logits(network, image, (96, 96), device="cpu")
    np.testing.assert_allclose(tiled, direct, atol=1e-5)


def test_deep_supervision_takes_the_finest() -> None:
    torch.manual_seed(0)
    network = build_network("swin-umamba-d-tiny", 1, 2, deep_supervision=True)
    image = RNG.normal(size=(1, 40, 33)).astype(np.float32)
    assert predict_logits(network, image, (64, 64), device="cpu").shape == (2, 40, 33)
    assert network.training  # as it was


def test_progress_counts_tiles() -> None:
    seen: list[tuple[int, int]] = []
    image = np.zeros((1, 64, 96), np.float32)
    predict_logits(Constant(), image, (32, 32), device="cpu", on_progress=lambda *a: seen.append(a))
    assert seen == [(i, 15) for i in range(1, 16)]


@pytest.mark.parametrize("mirror", [False, True])
def test_stop_is_asked_before_every_run_of_the_network(mirror: bool) -> None:
    asked = []
    network = Constant().train()

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 3

    done: list[int] = []
    with pytest.raises(Cancelled):
        predict_logits(
            network,
            np.zeros((1, 64, 96), np.float32),
            (32, 32),
            mirror=mirror,
            device="cpu",
            on_progress=lambda n, _: done.append(n),
            should_stop=should_stop,
        )
    assert done == ([] if mirror else list(range(1, 11)))  # a row of five tiles is one batch
    assert network.training


def test_only_one_row_of_tiles_is_in_memory() -> None:
    image = RNG.normal(size=(1, 500, 40)).astype(np.float32)
    tiling = make_tiling((500, 40), (64, 64))
    bands: list[tuple[int, int]] = []

    def emit(number: int, rows: slice, logits: np.ndarray) -> None:
        assert number == 0
        bands.append((rows.start, rows.stop))
        assert logits.shape == (2, rows.stop - rows.start, 40)
        assert logits.shape[1] <= 64

    predict_bands(PerPixel(), [image], tiling, emit, DeviceFit(torch.device("cpu")))
    assert len(bands) == len(tiling.rows)
    assert [b[0] for b in bands[1:]] == [b[1] for b in bands[:-1]]
    assert (bands[0][0], bands[-1][1]) == (0, 500)


class LittleMemory(PerPixel):
    """A device that holds a limited number of pixels."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.batches: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel() > self.limit:
            raise torch.OutOfMemoryError("out of memory")
        self.batches.append(tuple(x.shape))
        return super().forward(x)


def test_batches_shrink_until_they_fit(caplog: pytest.LogCaptureFixture) -> None:
    image = RNG.normal(size=(1, 40, 200)).astype(np.float32)
    network = LittleMemory(64 * 64)
    logits = predict_logits(network, image, (64, 64), device="cpu")
    np.testing.assert_allclose(logits[0], 2 * image[0], rtol=1e-4, atol=1e-5)
    assert [shape[0] for shape in network.batches] == [1] * 6
    assert [record.getMessage() for record in caplog.records] == [
        "this computer ran out of memory: 3 tiles at once instead of 6",
        "this computer ran out of memory: 1 tile at once instead of 3",
    ]
    with pytest.raises(InputError, match="too little memory for a tile of 64 x 64"):
        predict_logits(LittleMemory(0), image, (64, 64), device="cpu")


def fitted(network: torch.nn.Module, images: list[np.ndarray], fit: DeviceFit) -> np.ndarray:
    found = np.full((len(images), 2, *images[0].shape[1:]), np.nan, np.float32)

    def emit(number: int, rows: slice, logits: np.ndarray) -> None:
        found[number, :, rows] = logits

    predict_fitting(network, images, (256, 256), emit, fit)
    return found


def test_images_share_batches() -> None:
    images = [RNG.normal(size=(1, 50, 60)).astype(np.float32) for _ in range(5)]
    network = LittleMemory(10**9)
    together = fitted(network, images, DeviceFit(torch.device("cpu")))
    assert network.batches == [(5, 1, 64, 64)]
    for image, logits in zip(images, together, strict=True):
        alone = predict_logits(network, image, (256, 256), device="cpu")
        np.testing.assert_allclose(logits, alone, atol=1e-6)


def test_tiles_shrink_until_they_fit_and_stay_small() -> None:
    image = RNG.normal(size=(1, 300, 260)).astype(np.float32)
    network, fit = LittleMemory(128 * 128), DeviceFit(torch.device("cpu"))
    for _ in range(2):
        np.testing.assert_allclose(fitted(network, [image], fit)[0, 0], 2 * image[0], rtol=1e-4)
        fewer, smaller = fit.steps
        assert "1 tile at once instead of 2" in fewer
        assert "tiles of 128 x 128 pixels instead of 256 x 256; labels differ a little" in smaller
    assert {shape[2:] for shape in network.batches} == {(128, 128)}
    small = LittleMemory(127 * 127)
    with pytest.raises(InputError, match=r"too little memory for a tile of 128 x 128 .*--model"):
        fitted(small, [image], fit)


def test_errors_that_are_not_about_memory_pass() -> None:
    class Broken(PerPixel):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("weights are missing")

    fit = DeviceFit(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="weights are missing"):
        fitted(Broken(), [np.zeros((1, 64, 64), np.float32)], fit)
    assert fit.steps == []


def test_a_gpu_without_memory_gives_way_to_the_cpu() -> None:
    fit = DeviceFit(torch.device("cuda:0"))
    patch, taken = (512, 384), []
    assert fit.tiles(patch) == 5
    while fit.device.type == "cuda":
        tile = fit.patch(patch)
        taken.append((fit.tiles(tile), tile))
        if not fit.take_fewer_tiles(tile, fit.tiles(tile)):
            fit.shrink(tile)
    assert taken == [
        (5, (512, 384)),
        (2, (512, 384)),
        (1, (512, 384)),
        (1, (256, 192)),
        (1, (128, 192)),
    ]
    assert fit.patch(patch) == patch
    assert len(fit.steps) == len(taken)
    assert fit.steps[1] == "the GPU (cuda:0) ran out of memory: 1 tile at once instead of 2"
    assert fit.steps[-1].endswith("the CPU goes on with the work, which takes longer")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_cpu_finishes_what_a_full_gpu_began() -> None:
    image = RNG.normal(size=(1, 300, 260)).astype(np.float32)
    fit, network = DeviceFit(torch.device("cuda")), PlaceDependent()
    expected = fitted(network, [image, image], DeviceFit(torch.device("cpu")))
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        found = fitted(network, [image, image], fit)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert fit.device.type == "cpu"
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_network_that_yields_nan_is_told() -> None:
    class Broken(PerPixel):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) / 0 * 0

    with pytest.raises(InputError, match="the model yields NaN"):
        predict_logits(Broken(), np.ones((1, 32, 32), np.float32), (32, 32), device="cpu")


# Devices.


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_bad_devices(name: str) -> None:
    with pytest.raises(InputError, match="--device"):
        resolve_device(name)


def test_devices() -> None:
    assert resolve_device("cpu") == (torch.device("cpu"), None)
    assert resolve_device(torch.device("cpu"))[0].type == "cpu"


def test_auto_takes_a_gpu_only_with_a_fast_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_swin_umamba.network.selective_scan import ScanBackend

    names = {"cuda": "triton", "mps": "torch"}
    there = ["mps"]
    monkeypatch.setattr(
        "napari_swin_umamba.segmentation.device._available", lambda device: device.type in there
    )
    monkeypatch.setattr(
        "napari_swin_umamba.network.selective_scan.active_backend",
        lambda device: ScanBackend(names[device.type], "no kernel"),
    )
    assert resolve_device() == (torch.device("cpu"), "mps is not used: no kernel")
    there.append("cuda")
    assert resolve_device() == (torch.device("cuda"), None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    image = RNG.normal(size=(2, 300, 200)).astype(np.float32)
    options = {"patch": (64, 96), "mirror": True}
    cpu = predict_logits(PlaceDependent(), image, device="cpu", **options)
    cuda = predict_logits(PlaceDependent(), image, device="cuda", **options)
    np.testing.assert_allclose(cuda, cpu, atol=1e-4)

"""The public segment(), from an array or a file to labels, with the real tiny network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_swin_umamba import Cancelled, InputError, segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.images import Image, read_image
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation.plane import PlaneSegmenter

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (70, 101), dtype=np.uint8)


def make_model(output: str = "semantic", rgb: bool = False, **fields: object) -> Model:
    torch.manual_seed(0)
    channels = 3 if rgb else 1
    norm = Normalization(scheme="percentile")
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=tuple(Channel(name=f"c{i}", normalization=norm) for i in range(channels)),
        rgb=rgb,
        classes=tuple(
            SegmentationClass(id=i, name=name)
            for i, name in enumerate(["background", "interior", "boundary"])
        ),
        patch=(64, 64),
        output=output,
        min_object_pixels=4,
    )
    plan = plan.model_copy(update=fields)
    return Model(build_network(plan.architecture, channels, 3).eval(), plan, "test")


@pytest.fixture(scope="module")
def semantic() -> Model:
    return make_model()


@pytest.fixture(scope="module")
def boundary() -> Model:
    return make_model("boundary")


def test_semantic_labels_are_the_most_probable_class(semantic: Model) -> None:
    result = segment(IMAGE, semantic, device="cpu", probabilities=True)
    assert result.labels.shape == IMAGE.shape
    assert result.labels.dtype == np.uint8
    assert not result.instances
    assert result.plan is semantic.plan
    assert result.notes == ()
    assert result.probabilities is not None
    assert result.probabilities.shape == (3, *IMAGE.shape)
    assert result.probabilities.dtype == np.float32
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-5)
    assert np.array_equal(result.probabilities.argmax(axis=0), result.labels)
    assert segment(IMAGE, semantic, device="cpu").probabilities is None


def test_instances(boundary: Model) -> None:
    result = segment(IMAGE, boundary, device="cpu")
    assert result.instances
    assert result.probabilities is None
    assert result.labels.dtype == np.int32
    assert result.labels.shape == IMAGE.shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (64, 64), (65, 31), (33, 130)])
def test_any_size(boundary: Model, shape: tuple[int, int]) -> None:
    assert segment(np.resize(IMAGE, shape), boundary, device="cpu").labels.shape == shape


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_constant_image(semantic: Model, value: int) -> None:
    image = np.full((40, 50), value, np.uint8)
    result = segment(image, semantic, device="cpu", probabilities=True)
    assert np.isfinite(result.probabilities).all()


@pytest.mark.parametrize("dtype", ["?", "<u2", ">u2", "i4", ">i4", "f4", ">f8"])
def test_dtypes_and_byte_orders_do_not_matter(semantic: Model, dtype: str) -> None:
    image = (IMAGE > 128).astype(np.uint8)
    expected = segment(image, semantic, device="cpu").labels
    assert np.array_equal(segment(image.astype(dtype), semantic, device="cpu").labels, expected)


def test_read_only_and_strided_arrays(semantic: Model) -> None:
    image = np.repeat(IMAGE, 2, axis=1)[::-1, ::2]
    image.flags.writeable = False
    expected = segment(np.ascontiguousarray(image), semantic, device="cpu").labels
    assert np.array_equal(segment(image, semantic, device="cpu").labels, expected)


def test_it_is_deterministic(boundary: Model) -> None:
    first, second = (segment(IMAGE, boundary, device="cpu", mirror=True) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)


def test_color_models() -> None:
    model = make_model(rgb=True)
    rgb = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    as_it_is = segment(rgb, model, axes="YXC", device="cpu")
    assert as_it_is.notes == ()
    with_alpha = segment(np.dstack([rgb, rgb[..., 0]]), model, axes="YXC", device="cpu")
    assert np.array_equal(with_alpha.labels, as_it_is.labels)
    assert with_alpha.notes == ("transparency (alpha channel) ignored",)
    grey = segment(rgb[..., 0], model, device="cpu")
    assert grey.notes == ("grey image repeated into red, green and blue",)
    planar = segment(np.moveaxis(rgb, -1, 0), model, axes="CYX", device="cpu")
    assert np.array_equal(planar.labels, as_it_is.labels)


def test_an_image_from_a_file(semantic: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE)
    result = segment(read_image(path), semantic, device="cpu")
    assert np.array_equal(result.labels, segment(IMAGE, semantic, device="cpu").labels)


def test_the_overlap_is_the_models_unless_somebody_says_otherwise(semantic: Model) -> None:
    plan = semantic.plan.model_copy(update={"overlap": 0.1})
    wide = replace(semantic, plan=plan)
    assert PlaneSegmenter(wide, "cpu").tiles((70, 101), None, None) == 4
    assert PlaneSegmenter(wide, "cpu", overlap=0.5).tiles((70, 101), None, None) == 6
    assert PlaneSegmenter(semantic, "cpu").tiles((70, 101), None, None) == 6

    def probable(model: Model, **options: float) -> tuple[np.ndarray, list[tuple[int, int]]]:
        told: list[tuple[int, int]] = []
        result = segment(
            IMAGE,
            model,
            device="cpu",
            probabilities=True,
            on_progress=lambda done, total: told.append((done, total)),
            **options,
        )
        return result.probabilities, told

    own, told = probable(wide)
    assert told[-1] == (4, 4)
    assert np.array_equal(own, probable(semantic, overlap=0.1)[0])
    half, told = probable(semantic)
    assert told[-1] == (6, 6)
    assert np.array_equal(half, probable(wide, overlap=0.5)[0])
    assert not np.array_equal(half, own)


def test_axes_override_those_of_the_image(semantic: Model) -> None:
    image = Image(np.stack([IMAGE] * 5), "CYX", notes=("as read",))
    with pytest.raises(InputError, match="5 channels"):
        segment(image, semantic, device="cpu")
    with pytest.raises(InputError, match="'ZQX'"):
        segment(image, semantic, axes="ZQX", device="cpu")
    assert segment(Image(IMAGE, "YX", notes=("as read",)), semantic).notes == ("as read",)


def test_another_pixel_size_is_told() -> None:
    model = make_model(spacing=(0.5, 0.5), unit="micrometer")
    assert segment(IMAGE, model, spacing=(0.55, 0.55), device="cpu").notes == ()
    (note,) = segment(IMAGE, model, spacing=(0.25, 0.25), device="cpu").notes
    assert "objects appear 2 times as large" in note
    other_unit = Image(IMAGE, "YX", (250.0, 250.0), "nanometer")
    (note,) = segment(other_unit, model, device="cpu").notes
    assert "objects appear 2 times as large" in note


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((5, 8, 8)), {"axes": "CYX"}, "5 channels"),
        (np.full((8, 8), np.nan), {}, "NaN"),
        (np.zeros((0, 8)), {}, "empty"),
        (np.zeros((8, 8)), {"overlap": 1}, "--overlap"),
        (np.zeros((8, 8)), {"device": "abacus"}, "--device"),
        ("text", {}, "real numbers"),
        ([[1, 2], [3]], {}, "not an array of numbers"),
        (np.zeros((8, 8)), {"overlap": "x"}, "overlap 'x' is not a number.*--overlap"),
        (np.zeros((8, 8)), {"overlap": float("nan")}, "overlap nan"),
        (np.zeros((8, 8)), {"axes": 3}, "axes 3 are not text"),
        (np.zeros((8, 8)), {"axes": ("Y", "X")}, r"axes \('Y', 'X'\) are not text"),
        (Image(IMAGE, "YX"), {"axes": 0}, "axes 0 are not text"),
        (np.zeros((2, 2, 8, 8)), {}, "--axes"),
    ],
)
def test_bad_input(semantic: Model, image: object, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        segment(image, semantic, **options)


@pytest.mark.parametrize(
    "spacing",
    [(0, 0), (1, 0), (-1, 1), "ab", "", 3, (1,), (1, 1, 1), (1, "a"), (1, np.nan), (np.inf, 1), ()],
)
def test_bad_spacing(semantic: Model, spacing: object) -> None:
    with pytest.raises(InputError, match=r"^spacing .* is not .*two numbers above 0$"):
        segment(IMAGE, semantic, spacing=spacing)


@pytest.mark.parametrize("spacing", [[0.5, 0.5], np.array([0.5, 0.5], np.float32)])
def test_spacing_may_be_any_sequence(spacing: object) -> None:
    model = make_model(spacing=(0.5, 0.5), unit="micrometer")
    assert segment(IMAGE[:9, :9], model, spacing=spacing, device="cpu").notes == ()


@pytest.mark.parametrize("spacing", [(0, 0), (0.0, 1.0), (np.nan, np.nan), (), (5e-324, 5e-324)])
def test_an_image_that_does_not_know_its_spacing(spacing: tuple[float, ...]) -> None:
    model = make_model(spacing=(0.5, 0.5), unit="micrometer")
    image = Image(IMAGE[:9, :9], "YX", spacing, "nanometer")
    assert segment(image, model, device="cpu").notes == ()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.uint8, torch.bfloat16])
def test_tensors(semantic: Model, dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(IMAGE).to(dtype)
    if tensor.is_floating_point():
        tensor.requires_grad_()
    expected = segment(IMAGE, semantic, device="cpu").labels
    assert np.array_equal(segment(tensor, semantic, device="cpu").labels, expected)


@pytest.mark.parametrize("model", [None, 3, torch.nn.Identity()])
def test_what_is_no_model(model: object) -> None:
    with pytest.raises(InputError, match=r"^(None|3|Identity\(\)) is not a model; give .*--model"):
        segment(IMAGE, model)


def test_an_unknown_model() -> None:
    with pytest.raises(InputError, match="unknown model 'no such'"):
        segment(IMAGE, "no such")


def test_progress_and_cancel(boundary: Model) -> None:
    seen: list[tuple[int, int]] = []
    segment(IMAGE, boundary, device="cpu", on_progress=lambda *a: seen.append(a))
    assert seen == [(i, 6) for i in range(1, 7)]
    with pytest.raises(Cancelled):
        segment(IMAGE, boundary, device="cpu", should_stop=lambda: len(seen) > 3)


@pytest.mark.parametrize("output", ["semantic", "boundary", "distance"])
@pytest.mark.parametrize("scheme", ["zscore", "percentile", "rescale_to_01"])
def test_where_nothing_is_to_be_seen_is_background(output: str, scheme: str) -> None:
    channel = Channel(name="c", normalization=Normalization(scheme=scheme))
    model = make_model(output, channels=(channel,))
    volume = np.stack([IMAGE[:40, :50], np.full((40, 50), 7), IMAGE[30:, 50:100]])
    seen: list[tuple[int, int]] = []
    found = segment(volume, model, "ZYX", probabilities=True, on_progress=lambda *a: seen.append(a))
    assert found.probabilities is not None
    assert not found.labels[1].any()
    assert (found.probabilities[0, 1] > 0.999).all()
    assert seen[-1] == (3, 3)
    for index in (0, 2):  # the others do not notice
        alone = segment(volume[index], model, "YX", probabilities=True)
        np.testing.assert_array_equal(found.labels[index] > 0, alone.labels > 0)
        np.testing.assert_allclose(found.probabilities[:, index], alone.probabilities, atol=1e-5)
    seen.clear()
    blank = segment(volume[1], model, "YX", on_progress=lambda *a: seen.append(a))
    assert blank.labels.shape == (40, 50)
    assert not blank.labels.any()
    assert seen == [(1, 1)]
    with pytest.raises(InputError, match="--overlap"):
        segment(volume[1], model, "YX", overlap=5.0)


def test_grey_of_a_known_scale_goes_through_the_network() -> None:
    norm = Normalization(scheme="ct", lower=-100, upper=200, mean=50, std=40)
    model = make_model(channels=(Channel(name="CT", normalization=norm),))
    image = np.full((32, 32), 50)  # zero everywhere, as the network sees it
    found = segment(image, model, "YX", probabilities=True)
    assert found.probabilities is not None
    assert found.probabilities[0].max() < 0.999


def test_importing_the_package_does_not_import_torch() -> None:
    code = (
        "import sys, napari_swin_umamba, napari_swin_umamba.segmentation as s;"
        "heavy = {'torch', 'scipy', 'skimage', 'napari'} & set(sys.modules);"
        "assert not heavy, heavy; s.bundled_models()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_do_not_exist() -> None:
    import napari_swin_umamba
    from napari_swin_umamba import checkpoints, segmentation

    for package in (napari_swin_umamba, checkpoints, segmentation):
        assert all(hasattr(package, name) for name in package.__all__)
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = package.no_such_name

"""A start model and images that are the negatives of those it knows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch

from napari_swin_umamba import load_model
from napari_swin_umamba.network import build_network
from swin_umamba_training.config import make_config
from swin_umamba_training.polarity import match_polarity
from swin_umamba_training.train import train
from swin_umamba_training.transfer import input_weights

NOTE = "the start model knows the negatives of these images: its first filters changed sign"


@pytest.mark.parametrize(
    "architecture",
    ["swin-umamba-tiny", "swin-umamba-d-tiny", "dynunet-tiny"],
)
def test_first_filters_of_the_other_sign_see_negatives(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, 2, 3).eval()
    image = torch.randn(1, 2, 64, 64)
    names = input_weights(architecture)
    with torch.no_grad():
        expected = network(-image)
        for name, weight in network.state_dict().items():
            if name in names:
                weight.neg_()
        torch.testing.assert_close(network(image), expected)


def run(folder: Path, run_folder: Path, **values: object) -> tuple[dict, list[float]]:
    """Train; return what the run began with, and the loss of each step."""
    options = {"patch": (32, 32), "batch": 4, "val_fraction": 0.0, "device": "cpu"} | values
    heard: list[dict] = []
    train(make_config(dataset=folder, run=run_folder, **options), heard.append)
    started = next(event for event in heard if event["event"] == "start")
    return started, [event["loss"] for event in heard if event["event"] == "step"]


@pytest.fixture(scope="module")
def bright(write_dataset: Callable[..., Path], module_folder: Path) -> Path:
    """Bright discs."""
    return write_dataset(module_folder / "bright")


@pytest.fixture(scope="module")
def dark(bright: Path, module_folder: Path) -> Path:
    """The same, dark on bright ground."""
    folder = Path(shutil.copytree(bright, module_folder / "dark"))
    for image in (folder / "images").iterdir():
        iio.imwrite(image, iio.imread(image).max() - iio.imread(image))
    return folder


@pytest.fixture(scope="module")
def known(bright: Path, module_folder: Path) -> Path:
    """A model of the bright discs."""
    run(bright, module_folder / "known", arch="swin-umamba-d-tiny", steps=40)
    return module_folder / "known" / "model.safetensors"


def test_a_start_model_is_shown_what_it_knows(
    bright: Path, dark: Path, known: Path, tmp_path: Path
) -> None:
    options = {"init": str(known), "steps": 1, "learning_rate": 1e-9}
    before = load_model(known).network.state_dict()

    def changed(name: str) -> set[str]:
        after = load_model(tmp_path / name / "model.safetensors").network.state_dict()
        return {n for n in before if not torch.allclose(before[n], after[n], atol=1e-6)}

    started, losses = run(bright, tmp_path / "again", **options)
    assert NOTE not in started["notes"]
    assert changed("again") == set()

    started, losses_of_negatives = run(dark, tmp_path / "other", **options)
    assert NOTE in started["notes"]
    assert changed("other") == input_weights("swin-umamba-d-tiny")
    assert losses_of_negatives == pytest.approx(losses, rel=0.2)  # augmented otherwise
    assert NOTE in (tmp_path / "other" / "report.html").read_text()


def test_a_model_of_other_classes_is_left_alone(dark: Path, known: Path, tmp_path: Path) -> None:
    options = {"init": str(known), "steps": 1, "class_names": ("another",)}
    started, _ = run(dark, tmp_path / "other", **options)
    assert NOTE not in started["notes"]


@pytest.mark.parametrize("scheme", ["ct", "rescale_to_01", "rgb_to_01", "none"])
def test_images_that_are_not_centred_have_no_negatives(scheme: str) -> None:
    model = load_model("nuclei")
    channels = tuple(
        channel.model_copy(
            update={"normalization": channel.normalization.model_copy(update={"scheme": scheme})}
        )
        for channel in model.plan.channels
    )
    plan = model.plan.model_copy(update={"channels": channels})

    def prefer_negatives(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (-1.0) ** next(calls) + torch.tensor(1.5)

    patch = torch.zeros(len(channels), 32, 32), torch.zeros(32, 32, dtype=torch.int64)
    for tried, expected in ((plan, ()), (model.plan, (NOTE,))):
        calls = count()
        device = torch.device("cpu")
        assert match_polarity(model.network, tried, [patch], prefer_negatives, device) == expected
    assert match_polarity(model.network, model.plan, [], prefer_negatives, device) == ()

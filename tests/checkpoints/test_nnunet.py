"""Official models: which files, which plan, and the same network as from our own file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_swin_umamba import InputError, load_model, segment
from napari_swin_umamba.checkpoints import read_model_header
from napari_swin_umamba.checkpoints.nnunet_plan import plan_from_nnunet
from napari_swin_umamba.network.ensemble import Ensemble

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make_folder(
    tmp_path: Path, nnunet_plans: Make, nnunet_dataset: Make, nnunet_checkpoint: Make
) -> Callable[..., Path]:
    """Return a function that writes a folder with checkpoints of one tensor each."""

    def make(files: dict[str, list[str]], **entries: Any) -> Path:
        plans, dataset = nnunet_plans(), nnunet_dataset()
        for fold, names in files.items():
            (tmp_path / f"fold_{fold}").mkdir()
            for name in names:
                saved = nnunet_checkpoint(plans, dataset, **entries)
                torch.save(saved, tmp_path / f"fold_{fold}" / f"{name}.pth")
        (tmp_path / "plans.json").write_text(json.dumps(plans))
        (tmp_path / "dataset.json").write_text(json.dumps(dataset))
        return tmp_path

    return make


def chosen(folder: Path, **choice: Any) -> tuple[str, list[str]]:
    training = read_model_header(folder, **choice)[2].training
    return training["checkpoint"], training["folds"]


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["checkpoint_99", "checkpoint_best", "checkpoint_final"], None, "checkpoint_final"),
        (["checkpoint_249", "checkpoint_best", "checkpoint_latest"], None, "checkpoint_best"),
        (["checkpoint_99", "checkpoint_349", "checkpoint_249"], None, "checkpoint_349"),
        (["checkpoint_latest"], None, "checkpoint_latest"),
        (["checkpoint_99", "checkpoint_final"], "checkpoint_99", "checkpoint_99"),
        (["checkpoint_99", "checkpoint_final"], "checkpoint_99.pth", "checkpoint_99"),
    ],
)
def test_which_checkpoint(
    make_folder: Callable[..., Path], names: list[str], wanted: str | None, expected: str
) -> None:
    folder = make_folder({"all": names})
    assert chosen(folder, checkpoint=wanted) == (f"{expected}.pth", ["all"])


def test_which_folds(make_folder: Callable[..., Path]) -> None:
    files = {"2": ["checkpoint_final", "checkpoint_best"], "0": ["checkpoint_best"]}
    folder = make_folder({**files, "10": ["checkpoint_best"], "all": ["checkpoint_final"]})
    (folder / "fold_3").mkdir()  # begun, nothing saved yet
    assert chosen(folder) == ("checkpoint_best.pth", ["0", "2", "10"])
    assert chosen(folder, folds=["all"]) == ("checkpoint_final.pth", ["all"])
    assert chosen(folder, folds=["fold_2"]) == ("checkpoint_final.pth", ["2"])
    with pytest.raises(InputError, match=r"no fold .3.; it has 0, 2, 10, all \(--folds\)"):
        chosen(folder, folds=["3"])
    with pytest.raises(
        InputError, match=r"'checkpoint_final.pth' in folds 0, 2, 10; it has che.*be"
    ):
        chosen(folder, checkpoint="checkpoint_final")


def test_folders_that_are_none(tmp_path: Path, make_folder: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"no trained-model folder.*no plans\.json"):
        load_model(tmp_path)
    folder = make_folder({})
    with pytest.raises(InputError, match="no fold_… with a checkpoint"):
        load_model(folder)
    inner = tmp_path / "results" / "trainer__plans__2d"
    inner.mkdir(parents=True)
    (inner / "plans.json").write_text("{}")
    with pytest.raises(InputError, match=rf"give one of the folders in it \({inner.name}\)"):
        load_model(inner.parent)
    (folder / "plans.json").write_text("{")
    with pytest.raises(InputError, match=r"plans\.json is damaged"):
        load_model(folder)


def test_folds_must_be_of_one_training(
    make_folder: Callable[..., Path], nnunet_checkpoint: Make
) -> None:
    folder = make_folder({"0": ["checkpoint_final"], "1": ["checkpoint_final"]})
    other = nnunet_checkpoint({}, {}, trainer="nnUNetTrainerSwinUMamba")
    torch.save(other, folder / "fold_1" / "checkpoint_final.pth")
    with pytest.raises(InputError, match=r"fold_1.*unlike the first fold; choose folds"):
        load_model(folder)


@pytest.mark.parametrize(
    ("trainer", "architecture"),
    [
        ("nnUNetTrainerSwinUMamba", "swin-umamba"),
        ("nnUNetTrainerSwinUMambaScratch", "swin-umamba"),
        ("nnUNetTrainerSwinUMambaD", "swin-umamba-d"),
        ("nnUNetTrainerSwinUMambaDScratch", "swin-umamba-d"),
    ],
)
def test_trainers(make_folder: Callable[..., Path], trainer: str, architecture: str) -> None:
    folder = make_folder({"all": ["checkpoint_final"]}, trainer=trainer)
    assert read_model_header(folder)[0].architecture == architecture


def test_other_trainers_are_refused_by_name(make_folder: Callable[..., Path]) -> None:
    folder = make_folder({"all": ["checkpoint_final"]}, trainer="nnUNetTrainerUMambaEnc")
    with pytest.raises(InputError, match="'nnUNetTrainerUMambaEnc', whose network .* not have"):
        load_model(folder)


def test_weights_must_fit(make_folder: Callable[..., Path]) -> None:
    folder = make_folder({"all": ["checkpoint_final"]})
    with pytest.raises(InputError, match=r"checkpoint_final.*do not fit the network.*1 unexpected"):
        load_model(folder)


@pytest.mark.parametrize(
    ("plans", "dataset", "words"),
    [
        ({"configuration": {"preprocessor_name": "Mine"}}, {}, "preprocessor 'Mine'"),
        ({"image_reader_writer": "BloscIO"}, {}, "'BloscIO'"),
        ({"scheme": "MyNorm"}, {}, "'MyNorm'"),
        ({"patch": (32, 64, 64)}, {}, "3 dimensions.*2d"),
        ({"patch": (60, 64)}, {}, "multiples of 32"),
        ({"transpose_forward": [0, 1]}, {}, "transpose"),
        ({"configuration": {"resampling_fn_data": "resample_torch"}}, {}, "'resample_torch'"),
        ({"configurations": {"3d_fullres": {}}}, {}, "no configuration '2d'; they have 3d_fullres"),
        ({}, {"labels": {"background": 0, "a": 2}}, r"labels \[0, 2\]"),
        ({}, {"channel_names": {"0": "a", "1": "b"}}, "1 channels, dataset.json has 2"),
        ({}, {"labels": {"background": 0, "a": [1, 2]}}, "1 regions .a., and regions_class_order"),
        ({"configuration": {"patch_size": None}}, {}, "damaged"),
    ],
)
def test_plans_that_are_refused(
    nnunet_plans: Make, nnunet_dataset: Make, plans: dict, dataset: dict, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        plan_from_nnunet(
            nnunet_plans(**plans), nnunet_dataset(**dataset), "2d", "nnUNetTrainerSwinUMamba", None
        )
    assert "\n" not in str(caught.value)


def test_a_plan(nnunet_plans: Make, nnunet_dataset: Make) -> None:
    plans = nnunet_plans(
        channels=2,
        transpose_forward=[2, 0, 1],
        configuration={
            "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
            "use_mask_for_norm": [True, True],
            "spacing": [0.5, 0.7],
        },
    )
    labels = {"background": 0, "b": 2, "a": 1, "ignore": 3}
    dataset = nnunet_dataset(channels=2, labels=labels, channel_names={"1": "T1", "0": "CT"})
    plan = plan_from_nnunet(plans, dataset, "2d", "nnUNetTrainerSwinUMamba", (1,), folds=5)
    assert [item.name for item in plan.classes] == ["background", "a", "b"]
    assert [(c.name, c.normalization.scheme) for c in plan.channels] == [
        ("CT", "ct"),
        ("T1", "zscore"),
    ]
    assert plan.channels[0].normalization.upper == 640
    assert (plan.mirror_axes, plan.folds, plan.outputs) == ((1,), 5, 3)
    assert (plan.spacing, plan.unit) == ((0.5, 0.7), "millimeter")
    assert plan.volume is not None
    assert plan.volume.transpose == (2, 0, 1)
    assert plan.volume.mask_channels == (1,)  # CT has no use for the mask


def test_inherited_configurations(nnunet_plans: Make, nnunet_dataset: Make) -> None:
    plans = nnunet_plans()
    plans["configurations"]["wide"] = {"inherits_from": "2d", "patch_size": [64, 160]}
    plan = plan_from_nnunet(plans, nnunet_dataset(), "wide", "nnUNetTrainerSwinUMamba", None)
    assert plan.patch == (64, 160)
    assert plan.mirror_axes == ()
    plans["configurations"]["2d"]["inherits_from"] = "wide"
    with pytest.raises(InputError, match="no configuration"):
        plan_from_nnunet(plans, nnunet_dataset(), "wide", "nnUNetTrainerSwinUMamba", None)


def test_natural_images(nnunet_plans: Make, nnunet_dataset: Make) -> None:
    plans = nnunet_plans(
        channels=3, scheme="RGBTo01Normalization", image_reader_writer="NaturalImage2DIO"
    )
    names = {"0": "R", "1": "G", "2": "B"}
    dataset = nnunet_dataset(channels=3, channel_names=names)
    plan = plan_from_nnunet(plans, dataset, "2d", "nnUNetTrainerSwinUMambaD", (0, 1))
    assert plan.rgb
    assert plan.spacing is None
    assert plan.volume is not None
    assert plan.volume.ignore_spacing


def test_regions(nnunet_plans: Make, nnunet_dataset: Make) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3], "ignore": 4}
    dataset = nnunet_dataset(labels=labels, regions_class_order=[1, 3, 2])
    plan = plan_from_nnunet(nnunet_plans(), dataset, "2d", "nnUNetTrainerSwinUMambaD", (0, 1))
    assert plan.regions == (1, 3, 2)
    assert plan.outputs == 3
    assert [item.name for item in plan.classes] == ["background", "whole", "enhancing", "core"]


def test_a_single_checkpoint_is_a_model(
    tmp_path: Path, nnunet_plans: Make, nnunet_dataset: Make, nnunet_checkpoint: Make
) -> None:
    path = tmp_path / "model.pth"
    torch.save(nnunet_checkpoint(nnunet_plans(), nnunet_dataset()), path)
    plan, name, info = read_model_header(path)
    assert (name, plan.patch) == ("Dataset901_Seeded", (64, 96))
    assert info.training["trainer"] == "nnUNetTrainerSwinUMambaD"
    with pytest.raises(InputError, match="one checkpoint file.*leave --checkpoint out"):
        load_model(path, checkpoint="checkpoint_best")
    torch.save(nnunet_checkpoint(None, None), path)
    with pytest.raises(InputError, match="carries no plans and dataset_json"):
        load_model(path)


def test_bundled_models_have_no_checkpoints() -> None:
    with pytest.raises(InputError, match="leave --folds out"):
        load_model("nuclei", folds=["0"])


def test_headers_need_no_torch(make_folder: Callable[..., Path]) -> None:
    import subprocess
    import sys

    folder = make_folder({"all": ["checkpoint_final"]})
    program = (
        "import sys; from napari_swin_umamba.checkpoints import read_model_header as read;"
        f"read({str(folder)!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_all_folds_as_one_file(
    nnunet_folder: Path, tmp_path: Path, seeded_array: Callable[..., np.ndarray]
) -> None:
    """Folds are averaged, and one imported file gives the same labels, bit by bit."""
    model = load_model(nnunet_folder)
    assert model.plan.folds == 2
    assert isinstance(model.network, Ensemble)
    for network, seed in zip(model.network.networks, (4, 5), strict=True):
        name, tensor = next(iter(network.state_dict().items()))
        assert np.array_equal(tensor.numpy(), seeded_array(name, tuple(tensor.shape), seed))
    tile = torch.randn(1, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        singles = [network(tile) for network in model.network.networks]
        both = model.network(tile)
    assert not torch.equal(singles[0], singles[1])
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=0)

    again = load_model(model.save(tmp_path / "both.safetensors"))
    assert again.plan == model.plan
    image = np.random.default_rng(0).normal(100, 20, (1, 40, 70)).astype(np.float32)
    results = [
        segment(image, item, axes="ZYX", spacing=(5, 1.3, 0.9), probabilities=True)
        for item in (model, again)
    ]
    assert np.array_equal(results[0].labels, results[1].labels)
    assert np.array_equal(results[0].probabilities, results[1].probabilities)
    assert len(np.unique(results[0].labels)) > 1


def test_files_without_news_have_no_new_fields(tmp_path: Path) -> None:
    """Models of the first format stay readable by programs that know no more."""
    path = load_model("nuclei").save(tmp_path / "again.safetensors")
    header = path.read_bytes()[:20000].decode("latin1")
    assert "architecture" in header
    assert not [name for name in ("mirror_axes", "folds", "volume", "regions") if name in header]


@pytest.mark.parametrize(("reader", "colours"), [("NaturalImage2DIO", True), ("NibabelIO", False)])
def test_only_pictures_have_their_colours_in_one_file(
    nnunet_plans: Callable[..., dict[str, Any]],
    nnunet_dataset: Callable[..., dict[str, Any]],
    reader: str,
    colours: bool,
) -> None:
    plans = nnunet_plans(channels=3, image_reader_writer=reader)
    dataset = nnunet_dataset(channels=3, channel_names={"0": "R", "1": "G", "2": "B"})
    plan = plan_from_nnunet(plans, dataset, "2d", "nnUNetTrainerSwinUMambaD", None)
    assert plan.rgb == colours

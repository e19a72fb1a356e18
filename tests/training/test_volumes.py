"""nnU-Net data sets, volumes and projects: what they become, converted and trained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, read_labels
from napari_swin_umamba.project import Project
from napari_swin_umamba.segmentation import preprocess
from swin_umamba_training.cli import app
from swin_umamba_training.config import make_config
from swin_umamba_training.data.exporting import export_nnunet
from swin_umamba_training.data.importing import import_dataset
from swin_umamba_training.data.preparing import choose_parts
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.dataset import look_through, scan_dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.project_classes import Aligned
from swin_umamba_training.train import train

AFFINE = np.diag([1.5, 2.0, 4.0, 1.0])  # x, y, z in mm
SHAPE = (40, 36, 10)


def make_volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image ``(x, y, z)`` int16 with a bright box and a small one, and its labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint8)
    x, y = rng.integers(2, 14, 2)
    labels[x : x + 16, y : y + 14, 2:8] = 1
    labels[x + 4 : x + 10, y + 4 : y + 9, 3:6] = 2
    image = 100 * labels + rng.normal(0, 10, SHAPE)
    return image.astype(np.int16), labels


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    """Six cases of one CT channel."""
    folder = tmp_path / "Dataset007_Boxes"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for index in range(6):
        image, labels = make_volume(index)
        for array, file in (
            (image, folder / "imagesTr" / f"box_{index}_0000.nii.gz"),
            (labels, folder / "labelsTr" / f"box_{index}.nii.gz"),
        ):
            nifti = nibabel.Nifti1Image(array, AFFINE)
            nifti.header.set_xyzt_units("mm")
            nibabel.save(nifti, file)
    describe(folder, {"background": 0, "box": 1, "core": 2})
    return folder


def describe(folder: Path, labels: dict[str, int], channel: str = "CT") -> None:
    description = {
        "channel_names": {"0": channel},
        "labels": labels,
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def config(folder: Path, **values: object):
    options = {"arch": "swin-umamba-d-tiny", "steps": 2, "val_every": 2, "device": "cpu"}
    return make_config(dataset=folder, run=folder.parent / "run", **(options | values))


def test_what_a_nnunet_data_set_becomes(nnunet: Path) -> None:
    dataset = scan_dataset(nnunet)
    assert (dataset.kind, dataset.instances, dataset.values) == ("nnunet", False, (0, 1, 2))
    assert len(dataset.samples) == 60
    assert dataset.samples[3].name == "box_0:3"
    assert dataset.samples[3].shape == (36, 40)
    print_ = dataset.fingerprint
    assert print_ is not None
    assert (print_.plane, print_.spacing, print_.slice_distance) == ("Z", (2.0, 1.5), 4.0)
    assert print_.unit == "millimeter"
    assert [item.name for item in print_.classes] == ["background", "box", "core"]
    assert sum(item.share for item in print_.classes) == pytest.approx(1)
    core = sum((make_volume(seed)[1] == 2).sum() for seed in range(6))
    assert print_.classes[2].share == pytest.approx(core / (6 * np.prod(SHAPE)))
    assert (print_.classes[2].slices, print_.classes[2].cases) == (18, 6)
    inside = np.concatenate([im[la > 0] for im, la in map(make_volume, range(6))])
    assert print_.channels[0].mean == pytest.approx(inside.mean(), rel=0.02)
    plan = make_plan(dataset, config(nnunet))
    assert [item.name for item in plan.classes] == ["background", "box", "core"]
    assert plan.patch == (64, 64)
    assert plan.channels[0].name == "CT"
    assert plan.channels[0].normalization.scheme == "ct"
    assert plan.channels[0].normalization.mean == pytest.approx(inside.mean(), rel=0.02)
    describe(nnunet, {"background": 0, "box": 1, "core": 2}, channel="MR")
    mr = make_plan(scan_dataset(nnunet), config(nnunet))
    assert mr.channels[0].normalization.scheme == "percentile"


def test_a_model_says_whether_it_knows_mirrored_images(nnunet: Path) -> None:
    """The same before the orientation is settled, and when a run goes on with it settled."""
    dataset, as_given = scan_dataset(nnunet), config(nnunet)
    plan = make_plan(dataset, as_given)
    assert plan.mirror_axes == ()
    assert plan == make_plan(dataset, as_given.with_orientation("fixed"))
    assert make_plan(dataset, as_given.with_orientation("any")).mirror_axes == (0, 1)


def test_the_data_hash_is_of_the_content(nnunet: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(nnunet, tmp_path / "elsewhere")
    first, second = scan_dataset(nnunet).fingerprint, scan_dataset(moved).fingerprint
    assert first is not None
    assert second is not None
    assert first.sha256 == second.sha256
    labels = nibabel.load(moved / "labelsTr" / "box_3.nii.gz")
    array = np.asarray(labels.dataobj).copy()
    array[0, 0, 0] = 1
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), moved / "labelsTr" / "box_3.nii.gz")
    third = scan_dataset(moved).fingerprint
    assert third is not None
    assert third.sha256 != first.sha256


@pytest.mark.parametrize("plane", [None, "X"])
def test_the_store_holds_what_prediction_would_see(nnunet: Path, plane: str | None) -> None:
    dataset = scan_dataset(nnunet, plane=plane)
    plan = make_plan(dataset, config(nnunet, plane=plane))
    assert plan.plane == plane
    store = ImageStore(dataset.samples, dataset, plan)
    store.prepare()
    image = read_image(nnunet / "imagesTr" / "box_2_0000.nii.gz").array
    labels = read_labels(nnunet / "labelsTr" / "box_2.nii.gz")
    axis = 2 if plane else 0
    index = next(i for i, s in enumerate(dataset.samples) if s.name == "box_2:5")
    seen, target = store[index]
    np.testing.assert_array_equal(seen, preprocess(image.take(5, axis), "YX", plan))
    np.testing.assert_array_equal(target, labels.take(5, axis))
    assert isinstance(seen, np.memmap)
    assert not seen.flags.writeable


def test_the_store_is_used_again_and_corrections_leave_images_alone(
    nnunet: Path, slices_folder: Path
) -> None:
    def prepare() -> tuple[list[str], dict[Path, int]]:
        dataset = scan_dataset(nnunet)
        store = ImageStore(dataset.samples, dataset, make_plan(dataset, config(nnunet)))
        told: list[str] = []
        store.prepare(lambda done, total, name: told.append(name))
        return told, {path: path.stat().st_ino for path in slices_folder.rglob("*.npy")}

    describe(nnunet, {"background": 0, "box": 1, "core": 2}, channel="MR")
    told, first = prepare()
    assert len(told) == 6
    assert len(first) == 12
    assert prepare() == ([], first)
    labels = make_volume(4)[1][::-1]
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), nnunet / "labelsTr" / "box_4.nii.gz")
    told, second = prepare()
    assert told == ["box_4"]
    assert first.items() < second.items()
    (new,) = second.keys() - first.keys()
    assert new.name.startswith("labels-")


DISK_FULL = """
import resource, sys
from pathlib import Path
from swin_umamba_training.config import make_config
from swin_umamba_training.data.preparing import choose_parts
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.project_classes import Aligned
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
dataset = scan_dataset(Path(sys.argv[1]))
plan = make_plan(dataset, make_config(dataset=sys.argv[1], run="run", arch="swin-umamba-d-tiny"))
store = ImageStore(dataset.samples, dataset, plan, Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    store.prepare()
except ValueError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.name == "nt", reason="no limit of file sizes on Windows")
def test_a_disk_that_takes_no_more_is_reported(nnunet: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-c", DISK_FULL, str(nnunet), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "InputError cannot write" in done.stdout
    assert "SWIN_UMAMBA_CACHE" in done.stdout
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_slices_are_resampled_on_request(nnunet: Path) -> None:
    dataset = scan_dataset(nnunet, spacing=(1.0, 1.0))
    assert dataset.spacing == (1.0, 1.0)
    plan = make_plan(dataset, config(nnunet, spacing=(1.0, 1.0)))
    assert plan.spacing == (1.0, 1.0)
    assert plan.resample  # so that what it segments is resampled too
    assert not make_plan(scan_dataset(nnunet), config(nnunet)).resample
    image, target = ImageStore(dataset.samples, dataset, plan)[4]
    assert image.shape == (1, 72, 60)
    assert target.shape == (72, 60)
    assert set(np.unique(target)) == {0, 1, 2}


def test_the_patch_fits_the_resampled_slices(nnunet: Path) -> None:
    for spacing, patch in ((None, (64, 64)), ((1.0, 1.0), (96, 64))):
        settings = make_config(dataset=nnunet, run=nnunet / "run", spacing=spacing)
        assert make_plan(scan_dataset(nnunet, spacing=spacing), settings).patch == patch


@pytest.mark.parametrize(
    ("start", "padded", "patch"),
    [
        ((512, 512), False, (64, 64)),  # slices have 36 x 40 pixels
        ((512, 32), False, (64, 32)),
        ((512, 512), True, (512, 512)),  # it knows images with zeros around them
    ],
)
def test_patches_of_a_start_model_are_no_larger_than_the_slices(
    nnunet: Path, start: tuple[int, int], padded: bool, patch: tuple[int, int]
) -> None:
    dataset, settings = scan_dataset(nnunet), make_config(dataset=nnunet, run=nnunet / "run")
    model = make_plan(dataset, settings).model_copy(update={"patch": start, "pad_to_patch": padded})
    assert make_plan(dataset, settings, Aligned(model)).patch == patch


@pytest.mark.parametrize(
    ("patch", "overlap"),
    [
        (None, 0.25),  # that of the start model, cut to the slices
        ((96, 96), 0.25),  # the same, said
        ((64, 64), 0.5),  # tiles of another size
    ],
)
def test_the_overlap_of_a_start_model_goes_with_its_patch(
    nnunet: Path, patch: tuple[int, int] | None, overlap: float
) -> None:
    dataset = scan_dataset(nnunet)
    settings = make_config(dataset=nnunet, run=nnunet / "run", patch=patch)
    plan = make_plan(dataset, settings)
    assert plan.overlap == 0.5
    start = plan.model_copy(update={"patch": (96, 96), "overlap": 0.25})
    going_on = make_plan(dataset, settings, Aligned(start))
    assert going_on.overlap == overlap
    assert make_plan(dataset, settings, Aligned(going_on)).overlap == overlap  # resumed


def test_the_ignore_label_is_unknown(nnunet: Path) -> None:
    describe(nnunet, {"background": 0, "box": 1, "ignore": 2})
    dataset = scan_dataset(nnunet)
    store = ImageStore(dataset.samples, dataset, make_plan(dataset, config(nnunet)))
    labels = read_labels(nnunet / "labelsTr" / "box_0.nii.gz")[4]
    expected = labels.copy()
    expected[labels == 2] = -1
    np.testing.assert_array_equal(store[4][1], expected)


def test_pairs_with_a_value_to_ignore(make_dataset) -> None:
    folder = make_dataset("semantic")
    mask = iio.imread(folder / "masks" / "cell0.png")
    mask[:10] = 255
    iio.imwrite(folder / "masks" / "cell0.png", mask)
    dataset = scan_dataset(folder, ignore=255)
    assert dataset.values == (0, 1)
    plan = make_plan(dataset, config(folder))
    target = ImageStore(dataset.samples, dataset, plan)[0][1]
    assert (target[:10] == -1).all()
    assert set(np.unique(target[10:])) == {0, 1}
    # Going on from a model in which the class has another id.
    other = ImageStore(dataset.samples, dataset, plan, ids=(0, 3))[0][1]
    assert np.array_equal(other, np.where(target == 1, 3, target))


def test_to_a_project_and_back(nnunet: Path, tmp_path: Path) -> None:
    project = import_dataset(look_through(nnunet), tmp_path / "project", copy=True)
    assert [item.name for item in project.classes] == ["box", "core"]
    first = project.images[0]
    annotation = project.annotation(first.id)
    assert len(annotation.complete()) == 10
    labels = read_labels(nnunet / "labelsTr" / "box_0.nii.gz")
    np.testing.assert_array_equal(annotation.read((4,)), labels[4] + 1)
    shutil.move(nnunet, tmp_path / "away")  # the project does not need it any more
    # a class that is removed leaves a gap in the ids, and a stroke half a slice
    third = project.add_class("third")
    settings = project.settings
    kept = tuple(item for item in settings.classes if item.name != "box")
    project.replace_settings(settings.model_copy(update={"classes": kept}))
    for image in project.images:
        for position in (store := project.annotation(image.id)).annotated():
            painted = store.read(position)
            store.write(position, np.where(painted == 2, 1, painted))
    painted = annotation.read((4,))
    painted[:3], painted[5, 5] = 0, third.id
    annotation.write((4,), painted)
    annotation.set_complete((4,), False)

    folder = export_nnunet(look_through(project.folder), tmp_path / "Dataset009_Back")
    described = json.loads((folder / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "core": 1, "third": 2, "ignore": 3}
    assert described["channel_names"] == {"0": "CT"}
    assert described["numTraining"] == 6
    original = tmp_path / "away" / "imagesTr" / "box_0_0000.nii.gz"
    assert (folder / "imagesTr" / "box_0_0000.nii.gz").read_bytes() == original.read_bytes()
    back = nibabel.load(folder / "labelsTr" / "box_0.nii.gz")
    np.testing.assert_array_equal(back.affine, nibabel.load(original).affine)
    expected = (labels == 2).astype(int)
    expected[4][:3], expected[4][5, 5] = 3, 2
    np.testing.assert_array_equal(read_labels(folder / "labelsTr" / "box_0.nii.gz"), expected)
    dataset = scan_dataset(folder)
    assert dataset.values == (0, 1, 2)
    assert dataset.rule.unknown == 3


def test_objects_to_a_project_and_to_nnunet(make_dataset, tmp_path: Path) -> None:
    folder = make_dataset("instances")
    looked = look_through(folder, instances=True)
    project = import_dataset(looked, tmp_path / "project", ["cell"])
    assert project.settings.kind == "instances"
    mask = read_labels(folder / "masks" / "cell1.png")
    image = next(image for image in project.images if image.name == "cell1")
    np.testing.assert_array_equal(project.annotation(image.id).read(()), mask + 1)
    dataset = scan_dataset(project.folder)
    assert dataset.instances
    plan = make_plan(dataset, config(folder))
    assert [item.name for item in plan.classes] == ["background", "cell interior", "cell boundary"]
    store = ImageStore(dataset.samples, dataset, plan)
    assert (store[1][1] > 0).sum() == (mask > 0).sum()
    out = export_nnunet(look_through(project.folder), tmp_path / "Dataset010_Cells")
    labels = read_labels(out / "labelsTr" / "cell1.png")
    assert set(np.unique(labels)) == {0, 1, 2}


def test_folders_in_use_are_left_alone(nnunet: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    for command in ("import", "export"):
        result = CliRunner().invoke(
            app, ["data", command, str(nnunet), "-o", str(tmp_path / "used")]
        )
        assert result.exit_code == 2
        assert "is in use" in result.stderr
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.txt"]


@pytest.fixture
def painted(nnunet: Path, tmp_path: Path) -> Project:
    """A project with strokes on some slices of three volumes."""
    project = Project.create(tmp_path / "painted", "semantic", ["box", "core"])
    for index in range(3):
        file = nnunet / "imagesTr" / f"box_{index}_0000.nii.gz"
        image = project.add_image([file], read_image(file))
        labels = read_labels(nnunet / "labelsTr" / f"box_{index}.nii.gz") + 1
        annotation = project.annotation(image.id)
        for place in (3, 5):
            stroke = np.zeros_like(labels[place])
            stroke[::5] = labels[place][::5]
            annotation.write((place,), stroke)
    return project


def test_training_on_strokes_keeps_what_is_held_out(painted: Project) -> None:
    result = train(config(painted.folder, patch=(32, 32), batch=2))
    roles = painted.roles
    assert len(roles.images) == 3
    model = load_model(result.model)
    record = model.info.training
    assert record["project_class_ids"] == [1, 2, 3]
    assert record["fingerprint"]["kind"] == "project"
    assert 0 < record["fingerprint"]["labelled"] < 0.1
    held = record["validation_images"]
    assert len(held) == 2
    # another seed would draw others, but they are settled
    again = train(config(painted.folder, patch=(32, 32), batch=2, seed=5, overwrite=True))
    assert painted.roles == roles
    assert load_model(again.model).info.training["validation_images"] == held


def test_going_on_in_a_project_from_a_model_with_other_classes(
    nnunet: Path, painted: Project
) -> None:
    """'core' is 2 in the project and 1 in the start model, whose ids stay."""
    first = config(nnunet, patch=(32, 32), batch=1, steps=1, class_names=("core", "rim"))
    start = train(first.model_copy(update={"run": nnunet.parent / "start"}))
    options = {"init": str(start.model), "arch": None, "patch": (32, 32), "batch": 1}
    model = load_model(train(config(painted.folder, steps=1, val_every=1, **options)).model)
    assert [item.name for item in model.plan.classes] == ["background", "core", "rim", "box"]
    assert model.info.training["project_class_ids"] == [1, 3, None, 2]


def test_training_on_a_nnunet_data_set_by_folds(nnunet: Path) -> None:
    result = train(config(nnunet, fold=1, folds=3))
    record = load_model(result.model).info.training
    assert record["fold"] == [1, 3]
    assert len(record["validation_images"]) == 2
    assert record["batch"] == 16
    assert all(name.endswith(":0-9") for name in record["validation_images"])
    stored = json.loads((result.model.parent / "config.json").read_text())
    assert stored["recipe"]["sampling"]["batch"] == 16
    assert stored["recipe"]["augmentation"]["orientation"] == "fixed"
    assert any("not mirrored" in note for note in result.notes)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_project_that_cannot_be_written(painted: Project) -> None:
    painted.folder.chmod(0o500)
    try:
        with pytest.raises(InputError, match="--val"):
            train(config(painted.folder, patch=(32, 32), batch=2))
    finally:
        painted.folder.chmod(0o700)
    assert not (painted.folder.parent / "run").exists()


def test_two_trainings_that_begin_together(painted: Project) -> None:
    dataset = scan_dataset(painted.folder)
    first = choose_parts(dataset, config(painted.folder))
    second = choose_parts(dataset, config(painted.folder, seed=5))
    first[1]()
    with pytest.raises(InputError, match="at the same time"):
        second[1]()
    assert choose_parts(dataset, config(painted.folder, seed=5))[0] == first[0]


def test_the_plane_of_training_is_that_of_prediction(nnunet: Path, tmp_path: Path) -> None:
    result = train(config(nnunet, plane="X", patch=(32, 32), batch=1, steps=1, val_every=1))
    model = load_model(result.model)
    assert model.plan.plane == "X"
    image = read_image(nnunet / "imagesTr" / "box_0_0000.nii.gz")
    array = image.array
    seen: list[int] = []
    labels = segment(
        image, model, device="cpu", on_progress=lambda done, total: seen.append(total)
    ).labels
    assert labels.shape == array.shape
    assert seen[-1] % 40 == 0  # slices along X, not the 10 along Z
    by_hand = segment(array, model, axes="ZYX", plane="X", device="cpu").labels
    np.testing.assert_array_equal(labels, by_hand)


def vanish(project: Project) -> str:
    Path(project.images[1].files[0].path).unlink()
    return "not there any more"


def change(project: Project) -> str:
    file = Path(project.images[1].files[0].path)
    nibabel.save(nibabel.Nifti1Image(make_volume(9)[0], AFFINE), file)
    return "content has changed"


def damage_slice(project: Project) -> str:
    annotation = project.annotation(project.images[1].id)
    (annotation.folder / "z00003.tif").write_bytes(b"II*\0")
    return r"z00003\.tif"


def unknown_class(project: Project) -> str:
    annotation = project.annotation(project.images[1].id)
    annotation.write((3,), np.full(annotation.slice_shape, 9, np.uint8))
    return "holds the label 9"


def wipe(project: Project) -> str:
    for image in project.images:
        shutil.rmtree(project.annotation(image.id).folder)
    return "nothing is annotated"


def newer(project: Project) -> str:
    file = project.folder / "project.yaml"
    file.write_text(file.read_text().replace("format: 1", "format: 2"))
    return "newer version"


@pytest.mark.parametrize("spoil", [vanish, change, damage_slice, unknown_class, wipe, newer])
def test_bad_projects(painted: Project, spoil) -> None:
    words = spoil(painted)
    with pytest.raises(InputError, match=words):
        scan_dataset(painted.folder)
    result = CliRunner().invoke(app, ["data", "check", str(painted.folder)])
    assert result.exit_code == 2
    assert not (painted.folder / "roles.json").exists()

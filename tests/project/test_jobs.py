"""Jobs and results without a training: what is packed, what is refused, what an import changes."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.images import read_image
from napari_swin_umamba.images.image_writing import write_image
from napari_swin_umamba.project import (
    ClassScore,
    Comparison,
    OpenedJob,
    Project,
    ProjectModels,
    import_result,
    plan_job,
    settle_roles,
    unpack_job,
    write_job,
    write_result,
)
from napari_swin_umamba.project.job_plan import painted_blocks

RECIPE = "base: quick\nlength: {steps: 2}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two images of which one is annotated: three slices in each of two blocks."""
    project = Project.create(tmp_path / "Leber Ö 2026", "semantic", ["liver", "vessel"])
    for name in ("case 01", "never painted"):
        file = tmp_path / "scans" / f"{name}.tif"
        file.parent.mkdir(exist_ok=True)
        values = np.random.default_rng(len(name)).integers(0, 255, (16, 8, 9)).astype(np.uint8)
        tifffile.imwrite(file, values, metadata={"axes": "ZYX"})
        project.add_image([file], read_image(file))
    for z in (0, 2, 4, 8, 10, 12):
        paint(project, z)
    project.annotation(project.images[0].id).set_complete((2,))
    return project


def paint(project: Project, z: int, value: int = 2) -> None:
    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 1:7] = value
    project.annotation(project.images[0].id).write((z,), labels)


def export(project: Project, path: Path, start: str = "none", **more: Any) -> Path:
    plan = plan_job(project, start, RECIPE, **more)
    settle_roles(plan)
    write_job(plan, path)
    return path


def add_model(project: Project, content: str, outcome: str = "first") -> Any:
    file = project.folder.parent / f"{content}.safetensors"
    file.write_text(content)
    comparison = Comparison(outcome=outcome, before=None if outcome == "first" else "v1")
    return ProjectModels(project.folder).add(file, "none", comparison=comparison)


class Elsewhere:
    """Another computer: gets a job, makes a model of it, sends the result back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def train(
        self,
        job_file: Path,
        outcome: str | None = "first",
        before: str | None = None,
        content: str = "",
    ) -> Path:
        self.number += 1
        run = self.folder / f"run{self.number}"
        run.mkdir(parents=True)
        job = unpack_job(job_file, run / "job")
        (run / "model.safetensors").write_text(content or f"model {self.number}")
        (run / "scores.csv").write_text("step\n")
        score = ClassScore(
            id=2, name="liver", before=None, after=0.8, slices=3, pixels=900, outcome="first"
        )
        comparison = None
        if outcome is not None:
            comparison = Comparison(outcome=outcome, before=before, classes=(score,))
        result = run / "result.zip"
        write_result(job, run, result, "none", 20, 3.0, "steps", comparison, "no reason")
        return result


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere")


@pytest.fixture
def record(project: Project) -> Callable[[Path], Mapping[str, Any]]:
    """Reads the record of a model as a training on the project writes it."""
    uid = project.settings.uid
    return lambda _: {"project": uid, "project_class_ids": [1, 2, 3]}


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    }


# --- what leaves --------------------------------------------------------------------------------


def test_a_job_is_a_whole_project(project: Project, tmp_path: Path, elsewhere: Elsewhere) -> None:
    add_model(project, "one")
    add_model(project, "two", "worse")
    path = export(project, tmp_path / "job.zip", start="project")
    shutil.rmtree(tmp_path / "scans")
    moved = project.folder.rename(tmp_path / "hidden")
    job = unpack_job(path, tmp_path / "there" / "job")
    assert job.init == "project"
    assert job.recipe.read_text() == RECIPE
    assert job.project.name == "leber-2026"
    there = Project.open(job.project)
    here = Project.open(moved)
    assert there.settings.uid == here.settings.uid
    assert there.classes == here.classes
    assert there.roles == here.roles
    # Only what is annotated travels, its files inside.
    assert [image.id for image in there.images] == [here.images[0].id]
    (file,) = there.find_files(there.images[0].id)
    assert file.is_relative_to(job.folder)
    assert there.changed_files(there.images[0].id) == ()
    annotation, was = (one.annotation(there.images[0].id) for one in (there, here))
    assert annotation.digest() == was.digest()
    assert annotation.complete() == ((2,),)
    # The history travels, of its files only those that are needed.
    models = ProjectModels(job.project)
    assert [item.name for item in models.read().models] == ["v1", "v2"]
    assert models.current_path().read_text() == "one"
    assert not models.path(models.read().models[1]).exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("CON", "project-con"), ("肝臓", "project"), ("a.b c_d", "a-b-c_d"), ("-x-", "x")],
)
def test_the_folder_in_a_job(project: Project, tmp_path: Path, name: str, folder: str) -> None:
    project.folder.rename(tmp_path / name)
    job = unpack_job(
        export(Project.open(tmp_path / name), tmp_path / "job.zip"), tmp_path / "unpacked"
    )
    assert job.project.name == folder
    assert job.manifest.project == name


def test_the_plan_says_the_size(project: Project, tmp_path: Path) -> None:
    plan = plan_job(project, "none", RECIPE)
    assert plan.total == sum(
        file.stat().st_size
        for file in [
            *(tmp_path / "scans").glob("case*"),
            *(project.folder / "annotations").rglob("z*"),
        ]
    )
    write_job(plan, tmp_path / "job.zip")
    assert plan.total < (tmp_path / "job.zip").stat().st_size < plan.total + 12_000


@pytest.mark.parametrize("of_the_project", [True, False])
def test_the_model_to_start_from_travels(
    project: Project, tmp_path: Path, of_the_project: bool
) -> None:
    add_model(project, "one")
    two = add_model(project, "two", "worse")
    file = tmp_path / "two.safetensors"
    if of_the_project:
        file = ProjectModels(project.folder).path(two)
    job = unpack_job(export(project, tmp_path / "job.zip", start=str(file)), tmp_path / "job")
    assert Path(job.init).read_text() == "two"
    assert Path(job.init).is_relative_to(job.folder)
    assert Path(job.init).name == file.name
    assert (Path(job.init).parent == job.project / "models") == of_the_project


def test_what_is_held_out_is_settled_by_a_job(project: Project, tmp_path: Path) -> None:
    plan = plan_job(project, "none", RECIPE)
    assert plan.settles_roles
    assert not project.roles.images
    # A look that changes nothing draws the same: a project that may only be read agrees.
    assert plan_job(project, "none", RECIPE).roles == plan.roles
    settle_roles(plan)
    assert project.roles == plan.roles
    roles = {plan.roles.role(block) for block in painted_blocks(project)}
    assert roles == {"train", "held_out"}
    assert not plan_job(project, "none", RECIPE).settles_roles
    assert (tmp_path / "scans").exists()


def test_channels_in_files_of_one_name(tmp_path: Path) -> None:
    """Objects are numbered, and each channel lies in a folder of its own under the same name."""
    project = Project.create(tmp_path / "cells", "instances", ["nucleus"], ["DAPI", "actin"])
    files = []
    for channel in range(2):
        files.append(tmp_path / f"channel{channel}" / "Cell 1.tif")
        files[-1].parent.mkdir()
        tifffile.imwrite(files[-1], np.full((8, 9), channel, np.uint8))
    project.add_image(files, read_image(files[0]))
    project.annotation(project.images[0].id).write((), np.full((8, 9), 70_000, np.int32))
    job = unpack_job(export(project, tmp_path / "job.zip"), tmp_path / "job")
    there = Project.open(job.project)
    found = there.find_files(there.images[0].id)
    assert [int(read_image(file).array.max()) for file in found] == [0, 1]
    assert {file.name for file in found} == {"Cell 1.tif"}
    assert int(there.annotation(there.images[0].id).read(()).max()) == 70_000
    assert there.settings.channel_names == ("DAPI", "actin")


def test_data_beside_a_header_travel(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    header = tmp_path / "scan.mhd"
    header.write_text(
        "ObjectType = Image\nNDims = 2\nDimSize = 9 8\nElementType = MET_UCHAR\n"
        "ElementDataFile = scan.raw\n"
    )
    (tmp_path / "scan.raw").write_bytes(bytes(range(72)))
    project.add_image([header], read_image(header))
    project.annotation(project.images[0].id).write((), np.full((8, 9), 2, np.uint8))
    job = unpack_job(export(project, tmp_path / "job.zip"), tmp_path / "job")
    there = Project.open(job.project)
    (file,) = there.find_files(there.images[0].id)
    assert read_image(file).array.ravel().tolist() == list(range(72))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "scan.raw").rename(tmp_path / "elsewhere" / "scan.raw")
    header.write_text(header.read_text().replace("scan.raw", "elsewhere/scan.raw"))
    with pytest.raises(InputError, match="its data lie elsewhere: .*save it as one file"):
        plan_job(project, "none", RECIPE)


def test_what_keeps_a_job_from_leaving(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "job.zip"
    empty = Project.create(tmp_path / "empty", "semantic", ["a"])
    for other, start, why in (
        (empty, "none", "nothing is annotated"),
        (project, "project", "no model yet"),
        (project, str(tmp_path / "no.safetensors"), "no such model file"),
        (project, "~/models/no.pth", "give a .safetensors file"),
    ):
        with pytest.raises(InputError, match=why):
            plan_job(other, start, RECIPE)
    plan = plan_job(project, "none", RECIPE)
    scan = tmp_path / "scans" / "case 01.tif"
    kept = scan.read_bytes()
    scan.write_bytes(kept[:-1] + b"!")
    with pytest.raises(InputError, match="is not the file that was annotated as 'case 01'"):
        write_job(plan, path)
    scan.unlink()
    with pytest.raises(InputError, match="no such file"):
        write_job(plan, path)
    with pytest.raises(InputError, match="is not there any more"):
        plan_job(project, "none", RECIPE)
    scan.write_bytes(kept)
    with pytest.raises(Cancelled):
        write_job(plan, path, should_stop=lambda: True)
    assert not [file for file in tmp_path.iterdir() if "job" in file.name]
    write_job(plan, path)
    with pytest.raises(InputError, match="exists already"):
        write_job(plan, path)
    # A slice that was rubbed out between plan and writing is no error.
    paint(project, 2, 0)
    write_job(plan, path, overwrite=True)


# --- what comes back ----------------------------------------------------------------------------


def test_a_better_one_becomes_the_model(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    models = ProjectModels(project.folder)
    first = import_result(project, elsewhere.train(export(project, tmp_path / "1.zip")), record)
    assert (first.record.name, first.adopted, first.is_new, first.notes) == ("v1", True, True, ())
    assert first.record.start == "none"
    assert models.current_path().read_text() == "model 1"
    run = Path(first.record.run)
    assert run.parent == project.folder / "runs"
    assert [file.name for file in run.iterdir()] == ["scores.csv"]

    job = export(project, tmp_path / "2.zip", start="project")
    worse = import_result(project, elsewhere.train(job, "worse", "v1"), record)
    assert not worse.adopted
    assert not worse.asks
    unclear = import_result(project, elsewhere.train(job, "too_little", "v1"), record)
    assert not unclear.adopted
    assert unclear.asks
    better = elsewhere.train(job, "better", "v1")
    assert import_result(project, better, record).adopted
    assert models.read().current.name == "v4"

    before = files_of(project.folder)
    again = import_result(project, better, record)
    assert (again.record.name, again.is_new) == ("v4", False)
    assert files_of(project.folder) == before


def test_the_models_changed_meanwhile(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    """Better than the model of then says nothing about the one of now."""
    add_model(project, "one")
    result = elsewhere.train(export(project, tmp_path / "job.zip"), "better", "v1")
    add_model(project, "two", "better")
    imported = import_result(project, result, record)
    assert (imported.record.name, imported.record.overtaken) == ("v3", "v2")
    assert not imported.adopted
    assert imported.asks
    assert "compared with v1, and the project's model is another" in imported.notes[0]
    models = ProjectModels(project.folder)
    assert models.read().current.name == "v2"
    assert models.choose(3).current.name == "v3"


def test_a_model_that_was_not_compared(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    result = elsewhere.train(export(project, tmp_path / "job.zip"), None)
    imported = import_result(project, result, record)
    assert not imported.adopted
    assert imported.asks
    assert imported.notes == ("it was not compared: no reason",)


def test_what_was_painted_since_is_said(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    job = export(project, tmp_path / "job.zip")
    paint(project, 0, 3)
    paint(project, 5)
    paint(project, 12, 0)
    project.annotation(project.images[0].id).set_complete((2,), False)
    imported = import_result(project, elsewhere.train(job), record)
    assert imported.adopted
    assert imported.notes == ("4 slices were annotated or changed since the job was exported",)
    paint(project, 0)
    paint(project, 5, 0)
    paint(project, 12)
    project.annotation(project.images[0].id).set_complete((2,))
    assert import_result(project, elsewhere.train(job), record).notes[1:] == ()


def test_a_class_that_is_called_otherwise(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    result = elsewhere.train(export(project, tmp_path / "job.zip"))
    rename(project, {2: "hepar"})
    assert import_result(project, result, record).notes == ("'liver' is called 'hepar' by now",)


def rename(project: Project, names: dict[int, str]) -> None:
    classes = tuple(
        item.model_copy(update={"name": names.get(item.id, item.name)}) for item in project.classes
    )
    project.replace_settings(project.settings.model_copy(update={"classes": classes}))


def removed(project: Project) -> None:
    settings = project.settings
    project.replace_settings(settings.model_copy(update={"classes": settings.classes[:1]}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda project: project.add_class("tumour"), "'tumour' was added"),
        (removed, "'vessel' was removed"),
        (
            lambda project: rename(project, {2: "vessel", 3: "liver"}),
            "'liver', 'vessel' names another class",
        ),
    ],
)
def test_other_classes_are_refused(
    project: Project,
    tmp_path: Path,
    elsewhere: Elsewhere,
    record: Any,
    change: Callable[[Project], object],
    why: str,
) -> None:
    result = elsewhere.train(export(project, tmp_path / "job.zip"))
    change(project)
    refused(project, result, record, f"classes are others.*{why}.*Export a new job; to go on")


def refused(project: Project, result: Path, record: Any, why: str) -> None:
    before = files_of(project.folder)
    with pytest.raises(InputError, match=why):
        import_result(project, result, record)
    assert files_of(project.folder) == before
    assert not list(project.folder.rglob(".*part*"))


def test_results_that_do_not_fit(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    job = export(project, tmp_path / "job.zip")
    result = elsewhere.train(job)
    other = Project.create(tmp_path / "other", "semantic", ["liver", "vessel"])
    refused(other, result, record, "the result of a job of the project 'Leber Ö 2026'")
    refused(project, job, record, "is a job, not a result: train it first")
    refused(project, tmp_path / "none.zip", record, "no such file")

    def strange(_: Path) -> Mapping[str, Any]:
        return {"project": "0" * 16, "project_class_ids": [1, 2, 3]}

    refused(project, result, strange, "is not one of this job")
    refused(project, result, lambda _: {**record(_), "project_class_ids": [1, 2]}, "other classes")

    def broken(path: Path) -> Mapping[str, Any]:
        raise InputError(f"{path} is empty")

    refused(project, result, broken, r"the model in .*result.zip cannot be used: model.safetensors")
    with pytest.raises(InputError, match="is a result, not a job: import it"):
        unpack_job(result, tmp_path / "again")


def test_slices_that_play_another_part_by_now(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    """A job of a project that could only be read: its choice is not written down there."""
    plan = plan_job(project, "none", RECIPE)
    write_job(plan, tmp_path / "job.zip")
    result = elsewhere.train(tmp_path / "job.zip")
    turned = {"train": "held_out", "held_out": "train"}
    blocks = painted_blocks(project)
    project.save_roles(
        project.roles.assigned({block: turned[plan.roles.role(block)] for block in blocks})  # type: ignore[index,misc]
    )
    refused(project, result, record, "held-out slices are no test of this model")
    (project.folder / "roles.json").unlink()
    assert import_result(project, result, record).adopted
    assert project.roles == plan.roles


def rewritten(source: Path, path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The same archive with other files or another manifest; nothing is made to agree."""
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def manifest_with(name: str, **fields: object) -> Callable[[dict[str, bytes]], object]:
    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files[name])
        manifest.update(fields)
        files[name] = json.dumps(manifest).encode()

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda files: files.pop("model.safetensors"), "does not hold what its result.json lists"),
        (lambda files: files.update({"more.txt": b"x"}), "does not hold what its result.json"),
        (lambda files: files.update({"model.safetensors": b"model 2"}), "is not what was put in"),
        (lambda files: files.pop("result.json"), "is no archive of this program"),
        (lambda files: files.update({"result.json": b"{"}), "result.json, as a whole"),
        (manifest_with("result.json", format=2), "format 2, made by a newer version"),
        (manifest_with("result.json", steps=-1), "steps: .*-1"),
        (manifest_with("result.json", what="swin-umamba job"), "what: "),
    ],
)
def test_results_that_were_tampered_with(
    project: Project,
    tmp_path: Path,
    elsewhere: Elsewhere,
    record: Any,
    change: Callable[[dict[str, bytes]], object],
    why: str,
) -> None:
    result = elsewhere.train(export(project, tmp_path / "job.zip"))
    refused(project, rewritten(result, tmp_path / "bad.zip", change), record, why)


def test_scores_of_other_classes(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    result = elsewhere.train(export(project, tmp_path / "job.zip"))

    def change(files: dict[str, bytes]) -> None:
        files["result.json"] = files["result.json"].replace(
            b'"name": "liver",\n    "metric"', b'"name": "<b>x",\n    "metric"'
        )

    bad = rewritten(result, tmp_path / "bad.zip", change)
    refused(project, bad, record, "scores classes that its project does not have")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_manifest(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any, data: st.DataObject
) -> None:
    """A field that holds something else: imported, or refused in the way that people are shown."""
    job = tmp_path / "job.zip"
    if not job.exists():
        export(project, job)
    result = tmp_path / "result.zip"
    if not result.exists():
        shutil.move(elsewhere.train(job), result)

    name = data.draw(st.sampled_from(["result.json", "job.json"]))

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files[name])
        holder = manifest
        while True:
            keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
            key = data.draw(st.sampled_from(list(keys)))
            if holder[key] and isinstance(holder[key], dict | list) and data.draw(st.booleans()):
                holder = holder[key]
                continue
            holder[key] = data.draw(json_values)
            break
        files[name] = json.dumps(manifest).encode()

    before = files_of(project.folder)
    bad = rewritten(job if name == "job.json" else result, tmp_path / "bad.zip", change)
    if name == "job.json":
        there = tmp_path / "there"
        shutil.rmtree(there, ignore_errors=True)
        try:
            assert unpack_job(bad, there).project.parent == there
        except InputError:
            assert not there.exists()
        return
    try:
        imported = import_result(project, bad, record)
    except InputError:
        assert files_of(project.folder) == before
    else:
        assert imported.record.number == 1


def test_a_result_with_other_files(
    project: Project, tmp_path: Path, elsewhere: Elsewhere, record: Any
) -> None:
    """Consistent, but nothing that a run leaves: it would get into the project's folder."""
    import hashlib

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["result.json"])
        digest = hashlib.sha256(b"x").hexdigest()
        manifest["files"].append({"name": "autorun.py", "size": 1, "sha256": digest})
        files["result.json"], files["autorun.py"] = json.dumps(manifest).encode(), b"x"

    result = elsewhere.train(export(project, tmp_path / "job.zip"))
    bad = rewritten(result, tmp_path / "bad.zip", change)
    refused(project, bad, record, "is no result that can be used")


def test_jobs_that_were_tampered_with(project: Project, tmp_path: Path) -> None:
    import hashlib

    secret = tmp_path / "secret.tif"
    shutil.copy(tmp_path / "scans" / "case 01.tif", secret)
    job = export(project, tmp_path / "job.zip")

    def look_outside(files: dict[str, bytes]) -> None:
        name = next(name for name in files if name.endswith("project.yaml"))
        text = files[name].decode()
        start = text.index("path: images/")
        end = text.index("\n", start)
        files[name] = (text[:start] + f"path: {secret}" + text[end:]).encode()
        manifest = json.loads(files["job.json"])
        for file in manifest["files"]:
            if file["name"] == name:
                file["size"] = len(files[name])
                file["sha256"] = hashlib.sha256(files[name]).hexdigest()
        files["job.json"] = json.dumps(manifest).encode()

    for number, (change, why) in enumerate(
        (
            (look_outside, "names a file outside"),
            (manifest_with("job.json", folder="../x"), "folder: "),
            (manifest_with("job.json", start={"init": "/etc/x"}), "start.init: "),
            (manifest_with("job.json", start={"init": "file", "file": "x"}), "lacks 'x'"),
            (manifest_with("job.json", project_uid="0" * 16), "it is not whole"),
            (manifest_with("job.json", folder="elsewhere"), "the project in the job cannot be"),
        )
    ):
        folder = tmp_path / f"out{number}"
        with pytest.raises(InputError, match=why):
            unpack_job(rewritten(job, tmp_path / "bad.zip", change), folder / "job")
        assert not folder.exists() or not list(folder.iterdir())


def test_a_folder_in_the_way_is_kept(project: Project, tmp_path: Path) -> None:
    job = export(project, tmp_path / "job.zip")
    there = tmp_path / "run" / "job"
    there.mkdir(parents=True)
    (there / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        unpack_job(job, there)
    assert (there / "mine.txt").read_text() == "mine"
    assert isinstance(unpack_job(job, there, overwrite=True), OpenedJob)
    assert not (there / "mine.txt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such file there")
def test_names_that_other_systems_cannot_have(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    file = tmp_path / 'aux: "cell" ä?.tif'
    write_image(file, np.zeros((8, 9), np.uint8), "YX", None, None)
    project.add_image([file], read_image(file))
    project.annotation(project.images[0].id).write((), np.full((8, 9), 2, np.uint8))
    job = unpack_job(export(project, tmp_path / "job.zip"), tmp_path / "job")
    (name,) = [image.files[0].path for image in Project.open(job.project).images]
    assert name.endswith("/aux- -cell- ä-.tif")

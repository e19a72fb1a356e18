"""``swin-umamba segment``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from swin_umamba_training.cli.shared import (
    EXIT_FAILED,
    CheckpointOption,
    DeviceOption,
    FoldsOption,
    JsonOption,
    console,
    fold_names,
    output_path,
    print_json,
    print_line,
    report_error,
    user_errors,
)

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import BatchSummary, FileReport
    from napari_swin_umamba.segmentation.batch_report import BatchEvent

EPILOG = """[bold]Examples[/bold]

One image:
swin-umamba segment cell.png -o labels.tif --model nuclei

A folder of images, and a table of the size of every object:
swin-umamba segment images/ -o labels/ --model nuclei --measure

A volume, with a model of your own, slice by slice along Y:
swin-umamba segment scan.nii.gz -o labels.nii.gz --model run1/model.safetensors --plane Y

A DICOM series, for 3D Slicer, with names and colours of the classes:
swin-umamba segment ct_folder/ -o organs.seg.nrrd --model organs.safetensors

The channels of one case, each a file as nnU-Net names them:
swin-umamba segment case_0000.nii.gz case_0001.nii.gz -o labels/ --model mri.safetensors

A model that the official Swin-UMamba code trained, as it was after epoch 249:
swin-umamba segment mri.nii.gz -o labels.nii.gz --model MODEL_FOLDER --checkpoint checkpoint_249

OUT is a file if it ends in .tif, .tiff, .png, .nii, .nii.gz, .nrrd, .mha,
.mhd or .zarr (OME-Zarr); IMAGE.zarr/labels/NAME puts labels into an image.
Otherwise it is a folder that gets a file of the same name for each image:
.nii.gz for .nii.gz and DICOM, likewise .nii, .nrrd, .mha and .zarr, and .tif
for all others.

Exit code: 0 all segmented, 1 some failed, 2 nothing was begun.
"""


@user_errors
def segment(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Images, or folders of images.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            *("--output", "-o"),
            metavar="OUT",
            parser=output_path,
            help="File or folder for the labels.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            *("--model", "-m"),
            help="A bundled model's name, a .safetensors file, or a trained-model folder or .pth "
            "file of nnU-Net.",
        ),
    ],
    checkpoint: CheckpointOption = None,
    folds: FoldsOption = None,
    device: DeviceOption = "auto",
    objects: Annotated[
        bool | None,
        typer.Option(
            "--objects/--classes",
            help="Number objects, or give class ids. Default: as the model was trained.",
            show_default=False,
        ),
    ] = None,
    plane: Annotated[
        str | None,
        typer.Option(
            metavar="Z|Y|X",
            help="Axis along which volumes are cut into slices. Default: the coarsest.",
        ),
    ] = None,
    resample: Annotated[
        bool | None,
        typer.Option(
            "--resample/--no-resample",
            help="Bring slices to the training pixel size first. Default: as in training.",
            show_default=False,
        ),
    ] = None,
    object_diameter: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS",
            help="Typical diameter of the objects in these images, to scale them by. Default: "
            "they are as large as in training.",
        ),
    ] = None,
    min_area: Annotated[
        float | None,
        typer.Option(
            metavar="AREA",
            help="Leave out smaller objects: in the square of the unit of the images' pixel size "
            "(µm², mm²), or in pixels where they have none.",
        ),
    ] = None,
    edge_objects: Annotated[
        bool,
        typer.Option(
            "--edge-objects/--no-edge-objects",
            help="Keep objects that the edge of the image cuts, or leave them out.",
        ),
    ] = True,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over mirrored images: slower, a bit better.")
    ] = False,
    overlap: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of a tile that its neighbour covers too, 0 to 0.9. Default: as the model "
            "says.",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="fp32|bf16",
            help="What the network computes in. bf16 is faster where the device has it, a little "
            "less exact.",
        ),
    ] = "fp32",
    axes: Annotated[
        str | None,
        typer.Option(help="Axes of the files, as YX, CYX, YXC or ZYX. Default: as they say."),
    ] = None,
    channel_axis: Annotated[
        str | None,
        typer.Option(
            metavar="N|T|Z",
            help="Axis of the files that holds channels, by number from 0 or letter.",
        ),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(metavar="UID", help="DICOM series (UID or number) of a folder with several."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Write measurements.csv beside the labels.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Segment images, volumes and films with a model."""
    from napari_swin_umamba.segmentation import (
        BatchOptions,
        ObjectRules,
        load_model,
        plan_batch,
        run_batch,
    )

    options = BatchOptions(
        axes,
        device,
        mirror,
        overlap,
        plane,
        objects,
        resample,
        object_diameter,
        ObjectRules(min_area, edge_objects),
        channel_axis,
        series,
        precision,
    )
    options.check()
    loaded = load_model(model, checkpoint, fold_names(folds))
    batch = plan_batch(inputs, output, overwrite=overwrite, measure=measure, plan=loaded.plan)
    with ExitStack() as stack:
        show = _Printer(json, None if json else stack.enter_context(_progress()))
        summary = run_batch(batch, loaded, options, on_event=show)
    _end(summary)


class _Printer:
    """Shows the events of a batch as they come."""

    def __init__(self, json: bool, progress: Progress | None) -> None:
        self._json = json
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None

    def __call__(self, event: BatchEvent) -> None:
        from napari_swin_umamba.segmentation.batch_report import FileReport, FileStarted

        if isinstance(event, FileReport):
            self._print(event)
        elif self._progress is not None and self._task is not None:
            if isinstance(event, FileStarted):
                place = f" ({event.index + 1} of {event.total})" if event.total > 1 else ""
                name = event.job.input.name + place
                self._progress.reset(self._task, total=None, description=name)
            else:
                self._progress.update(self._task, completed=event.done, total=event.total)

    def _print(self, report: FileReport) -> None:
        if self._json:
            print_json(report.as_json())
        if report.error is not None:
            report_error(report.error)
        elif not self._json:
            print_line(str(report.output))
            for note in report.notes:
                console().print(f"note: {note}", markup=False)
            if report.measurements is not None:
                text = f"{report.input.name}: {report.measurements.summary()}"
                if report.flicker is not None:
                    text += f"; flicker {report.flicker:.2%}"
                console().print(text, markup=False)


def _end(summary: BatchSummary) -> None:
    """Say what is true of all files, and end with the exit code."""
    failed = len(summary.failed)
    if failed and summary.total > 1 and not summary.stopped:
        report_error(f"{failed} of {summary.total} images could not be segmented")
    if summary.measurements is not None:
        console().print(f"measurements: {summary.measurements}", markup=False)
    if summary.problem is not None:
        report_error(summary.problem)
    if failed or summary.problem is not None:
        raise typer.Exit(EXIT_FAILED)


def _progress() -> Progress:
    screen = console()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )

"""``swin-umamba segment``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.shared import (
    EXIT_USAGE,
    DeviceOption,
    JsonOption,
    console,
    output_path,
    print_json,
    print_line,
    report_error,
    user_errors,
)

if TYPE_CHECKING:
    from napari_swin_umamba import Model

LABEL_SUFFIXES = (".tif", ".tiff", ".png")
OTHER_SUFFIXES = (
    *(".jpg", ".jpeg", ".jp2", ".gif", ".bmp", ".webp", ".svg", ".pdf", ".npy", ".npz"),
    *(".zarr", ".nii", ".gz", ".mha", ".nrrd", ".h5", ".czi", ".lif", ".nd2"),
)
"""Endings of image files that labels are not written to: nobody means a folder by them."""

EPILOG = """[bold]Examples[/bold]

One image:
swin-umamba segment cell.png -o labels.tif --model nuclei

A folder of images, with a model of your own:
swin-umamba segment images/ -o labels/ --model run1/model.safetensors

OUT is a file if it ends in .tif, .tiff or .png. Otherwise it is a folder that
gets one .tif for each image, of the same name.
"""


@user_errors
def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Images, or folders of images.")
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
        str, typer.Option("--model", "-m", help="A bundled model's name, or a .safetensors file.")
    ],
    device: DeviceOption = "auto",
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over mirrored images: slower, a bit better.")
    ] = False,
    overlap: Annotated[float, typer.Option(help="Share that neighbouring tiles overlap.")] = 0.5,
    axes: Annotated[
        str | None, typer.Option(help="Axes of the files: YX, YXC or CYX. Default: as they say.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace label files that exist.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Segment images with a model."""
    files = _input_files(inputs)
    targets = _targets(files, output, overwrite)
    _check_options(device, overlap, axes)
    from napari_swin_umamba import load_model

    loaded = load_model(model)
    _check_writable(targets[0], overwrite)
    options = {"axes": axes, "device": device, "mirror": mirror, "overlap": overlap}
    failed = 0
    with ExitStack() as stack:
        progress = None if json else stack.enter_context(_progress())
        for file, target in zip(files, targets, strict=True):
            try:
                report = _segment_file(file, target, loaded, options, overwrite, progress)
            except InputError as error:
                # The others are still worth having: one bad image must not end a long batch.
                failed += 1
                message = str(error) if str(file) in str(error) else f"{file}: {error}"
                report_error(message)
                continue
            _print_report(report, json)
    if failed:
        if len(files) > 1:
            report_error(f"{failed} of {len(files)} images could not be segmented")
        raise typer.Exit(EXIT_USAGE)


def _input_files(inputs: Sequence[Path]) -> list[Path]:
    """The images named, and those in the folders named."""
    from napari_swin_umamba.images import IMAGE_SUFFIXES
    from swin_umamba_training.folders import image_files

    files: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise InputError(f"no such file or folder: {path} (INPUT)")
        if not path.is_dir():
            files.append(path)
            continue
        found = image_files(path)
        if not found:
            raise InputError(f"no images in {path}; known are {', '.join(sorted(IMAGE_SUFFIXES))}")
        files += found
    return files


def _targets(files: Sequence[Path], output: Path, overwrite: bool) -> list[Path]:
    """Where the labels of each image go, checked before any work."""
    if output.suffix.lower() in OTHER_SUFFIXES and not output.is_dir():
        raise InputError(
            f"cannot write labels to {output}: the name of a file must end in "
            f"{', '.join(LABEL_SUFFIXES[:-1])} or {LABEL_SUFFIXES[-1]} (-o)"
        )
    if output.suffix.lower() in LABEL_SUFFIXES and not output.is_dir():
        if len(files) > 1:
            raise InputError(f"{len(files)} images do not go into one file; give a folder (-o)")
        targets = [output]
    else:
        targets = [output / f"{file.stem}.tif" for file in files]
    for index, target in enumerate(targets):
        if target in targets[:index]:
            first = files[targets.index(target)]
            raise InputError(
                f"{first} and {files[index]} would both be written to {target}; "
                "segment them into different folders (-o)"
            )
        if target.exists() and not overwrite:
            raise InputError(f"{target} exists already; add --overwrite or choose another (-o)")
        if target.resolve() == files[index].resolve():
            raise InputError(f"{target} is the image itself; choose another place (-o)")
    above = next(place for place in targets[0].parents if place.exists())
    if not above.is_dir():
        raise InputError(f"cannot write to {output}: {above} is a file (-o)")
    return targets


def _check_options(device: str, overlap: float, axes: str | None) -> None:
    """Say once what would fail for every image."""
    from napari_swin_umamba.images import IMAGE_AXES
    from napari_swin_umamba.segmentation import resolve_device

    if not 0 <= overlap <= 0.9:
        raise InputError(f"the overlap must lie between 0 and 0.9, not {overlap} (--overlap)")
    if axes is not None and axes.upper() not in IMAGE_AXES:
        raise InputError(f"axes must be one of {', '.join(IMAGE_AXES)}, not '{axes}' (--axes)")
    resolve_device(device)


def _check_writable(target: Path, overwrite: bool) -> None:
    """Make the folder of the labels and write a file there that vanishes again."""
    from napari_swin_umamba.files import check_output

    folder = check_output(target, overwrite).parent
    try:
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror} (-o)") from error


def _segment_file(
    file: Path,
    target: Path,
    model: Model,
    options: dict[str, Any],
    overwrite: bool,
    progress: Progress | None,
) -> dict[str, Any]:
    """Segment one image, write its labels, and say what they hold."""
    import numpy as np

    from napari_swin_umamba import segment as segment_array
    from napari_swin_umamba.images import read_image, write_labels

    image = read_image(file, options["axes"])
    task = progress.add_task(file.name, total=None) if progress else None

    def show(done: int, total: int) -> None:
        if progress is not None and task is not None:
            progress.update(task, completed=done, total=total)

    result = segment_array(image, model, on_progress=show, **options)
    write_labels(target, result.labels, image, overwrite=overwrite)
    report: dict[str, Any] = {
        "input": str(file),
        "output": str(target),
        "shape": list(result.labels.shape),
        "notes": list(result.notes),
    }
    if result.instances:
        report["objects"] = int(result.labels.max())
    else:
        pixels = np.bincount(result.labels.ravel(), minlength=result.plan.num_classes)
        report["pixels"] = {item.name: int(pixels[item.id]) for item in result.plan.classes}
    return report


def _print_report(report: dict[str, Any], json: bool) -> None:
    if json:
        print_json(report)
        return
    print_line(report["output"])
    for note in report["notes"]:
        console().print(f"note: {note}", markup=False)


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

"""``swin-umamba weights``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from swin_umamba_training.cli.shared import (
    AcceptHashOption,
    JsonOption,
    console,
    print_json,
    print_line,
    user_errors,
)

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints import download as downloads
    from napari_swin_umamba.checkpoints.weights import PublishedWeights

APP_EPILOG = """[bold]Examples[/bold]

swin-umamba weights list

swin-umamba weights fetch imagenet
"""

LIST_EPILOG = """[bold]Examples[/bold]

swin-umamba weights list

swin-umamba weights list --json > weights.json
"""

FETCH_EPILOG = """[bold]Examples[/bold]

Download now, for training without internet later:
swin-umamba weights fetch imagenet

Take a file that was downloaded on another computer:
swin-umamba weights fetch imagenet --from vssmtiny_dp01_ckpt_epoch_292.pth

The folder is chosen by SWIN_UMAMBA_CACHE, a mirror by SWIN_UMAMBA_WEIGHTS_URL.

Exit code: 0 the file is there, 1 the download failed, 2 a file is not the right one.
"""

app = typer.Typer(
    help="List published weights to start training from, and download them.",
    epilog=APP_EPILOG,
    no_args_is_help=True,
)


@app.command("list", epilog=LIST_EPILOG)
@user_errors
def list_weights(json: JsonOption = False) -> None:
    """List the weights there are, and whether they are on this computer."""
    from napari_swin_umamba.checkpoints.weights import PUBLISHED

    entries = [_as_dict(published) for published in PUBLISHED.values()]
    if json:
        print_json(entries)
        return
    # No table: addresses and hashes are copied from here, so they stay whole.
    for entry in entries:
        for label, text in _rows(entry):
            print_line(f"{label:<18}{text}")


@app.command("fetch", epilog=FETCH_EPILOG)
@user_errors
def fetch(
    name: Annotated[str, typer.Argument(help="Name, as 'weights list' shows it.")] = "imagenet",
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Copy this file instead of downloading."),
    ] = None,
    accept_hash: AcceptHashOption = False,
    json: JsonOption = False,
) -> None:
    """Download weights unless they are here, check them, and print where they lie."""
    from napari_swin_umamba.checkpoints import fetch_weights, import_weights

    if source is not None:
        local = import_weights(source, name, accept_hash=accept_hash)
    else:
        with DownloadBar(name) as bar:
            local = fetch_weights(name, accept_hash=accept_hash, on_progress=bar.show)
    if json:
        print_json(
            {"name": name, "path": str(local.path)}
            | {"sha256": local.sha256, "verified": local.verified}
        )
        return
    if not local.verified:
        console().print(f"note: not the published file: SHA-256 {local.sha256}", markup=False)
    print_line(str(local.path))


def _as_dict(published: PublishedWeights) -> dict[str, Any]:
    from napari_swin_umamba.files import hash_file

    found = hash_file(published.path) if published.path.exists() else None
    if found is None:
        state = "not downloaded"
    else:
        state = "downloaded" if found == published.sha256 else "another file"
    return {
        "name": published.name,
        "title": published.title,
        "size": published.size,
        "sha256": published.sha256,
        "licence": published.licence,
        "source": published.source,
        "url": published.url(),
        "path": str(published.path),
        "state": state,
        "found_sha256": found,
    }


def _rows(entry: dict[str, Any]) -> list[tuple[str, str]]:
    state = entry["state"]
    if state == "another file":
        state = f"another file lies there (SHA-256 {entry['found_sha256']})"
    return [
        ("weights", entry["name"]),
        ("", entry["title"]),
        ("on this computer", state),
        ("file", entry["path"]),
        ("size", f"{entry['size']:,} bytes"),
        ("SHA-256", entry["sha256"]),
        ("licence", f"{entry['licence']} ({entry['source']})"),
        ("address", entry["url"]),
    ]


class DownloadBar:
    """Shows a download on stderr: as a bar in a terminal, in a log only what is out of the way.

    Parameters
    ----------
    name
        What is downloaded.
    """

    def __init__(self, name: str) -> None:
        self._console = console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(f"downloading {name}", total=None, visible=False)

    def __enter__(self) -> DownloadBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: downloads.Progress) -> None:
        """Show how far it is."""
        if progress.note:
            self._console.print(progress.note, markup=False)
        self._progress.update(
            self._task, total=progress.total, completed=progress.done, visible=True
        )

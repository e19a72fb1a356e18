"""The folder of a training run: what lies in it, and when it may be made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from napari_swin_umamba.errors import InputError

__all__ = ["RunFolder"]


class RunFolder:
    """Paths of a run.

    Parameters
    ----------
    path
        Folder, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.recipe = path / "recipe.yaml"
        """The resolved recipe: another run can be given it as its ``--recipe``."""
        self.report = path / "report.html"
        self.events = path / "events.jsonl"
        self.scores = path / "scores.csv"
        self.curves = path / "curves.png"
        self.model = path / "model.safetensors"
        """The best model so far."""
        self.last = path / "last.ckpt"
        """Everything to go on from, of the last validation or the moment the run was stopped."""
        self.stop = path / "stop"
        """Whoever makes this file ends the run after the current step."""
        self.live = path / "live"
        """While this file is there, the weights of the moment are written now and then."""
        self.live_model = path / "live.safetensors"
        self.job = path / "job"
        """Where a job that came in an archive is unpacked."""
        self.result = path / "result.zip"
        """What its project imports."""

    @property
    def _files(self) -> tuple[Path, ...]:
        return (
            *(self.config, self.recipe, self.events, self.scores, self.curves, self.report),
            *(self.model, self.last, self.stop, self.live_model, self.result),
        )

    def check(self, overwrite: bool) -> None:
        """Say what would keep a run from being written here, without changing anything.

        Parameters
        ----------
        overwrite
            Whether a run that the folder holds may be replaced.

        Raises
        ------
        InputError
            It holds a run, is a file, or cannot be written to.
        """
        held = [file.name for file in self._files if file.exists()]
        if held and not overwrite:
            raise InputError(
                f"{self.path} already holds a run ({held[0]}); "
                "choose another folder (-o), or add --resume or --overwrite"
            )
        above = next(place for place in (self.path, *self.path.parents) if place.exists())
        if not above.is_dir():
            raise InputError(f"cannot write the run to {self.path}: {above} is a file (-o)")
        if not os.access(above, os.W_OK | os.X_OK):
            raise InputError(f"cannot write the run to {self.path}: no permission (-o)")

    def check_resumable(self) -> None:
        """Refuse to resume what is no run.

        Raises
        ------
        InputError
            The folder holds no settings of a run.
        """
        if not self.config.is_file():
            raise InputError(
                f"{self.path} holds no run to resume (no {self.config.name}); leave out --resume, "
                "or choose the folder of a run (-o)"
            )

    def create(self, overwrite: bool) -> None:
        """Make the folder, and remove a former run from it; nothing else in it is touched.

        Parameters
        ----------
        overwrite
            As in :meth:`check`.

        Raises
        ------
        InputError
            As in :meth:`check`.
        """
        self.check(overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for file in self._files:
                if file.is_dir():
                    shutil.rmtree(file)
                else:
                    file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot write the run to {self.path}: {error.strerror} (-o)"
            ) from error

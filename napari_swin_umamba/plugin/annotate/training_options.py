"""What a training begins from and how it is done, and the command line for it. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import ModelList
from napari_swin_umamba.segmentation import bundled_models

__all__ = ["FROM_FILE", "MINUTES", "PATCHES", "StartChoice", "TrainingOptions", "start_choices"]

FROM_FILE = "file"
"""Stands for a model that is yet to be chosen."""
MINUTES = (1, 2, 5, 10, 20, 30, 60, 120, 480)
PATCHES = (64, 96, 128, 192, 256, 384, 512)
NEW_NETWORK = "swin-umamba-d-tiny"
IMAGENET_NETWORK = "swin-umamba-d"
_RECIPE_HEADING = "# How the job is trained. All fields there are: swin-umamba recipes show quick\n"


@dataclass(frozen=True)
class StartChoice:
    """Where a training may begin."""

    text: str
    """In the list."""
    init: str
    """As ``--init`` takes it, or :data:`FROM_FILE`."""
    tooltip: str = ""

    @property
    def is_new(self) -> bool:
        """Whether a network can be chosen: there is no model that has one."""
        return self.init in ("none", "imagenet")


def start_choices(known: ModelList, files: dict[int, str]) -> list[StartChoice]:
    """List where a training of a project may begin, the usual place first.

    Parameters
    ----------
    known
        The project's models.
    files
        File of each by its number.
    """
    choices = []
    if known.current is not None:
        choices.append(
            StartChoice(
                f"this project’s model, {known.current.name}",
                "project",
                "Goes on from what the project’s model knows.",
            )
        )
    choices.append(
        StartChoice("nothing: a new network", "none", "Learns from what is painted alone.")
    )
    choices.append(
        StartChoice(
            "ImageNet (92 MB, downloaded once)",
            "imagenet",
            "A network that has seen a million photographs. Large: needs a GPU or patience.",
        )
    )
    choices += [
        StartChoice(f"{name} (bundled)", name, "A model that comes with the plugin.")
        for name in bundled_models()
    ]
    others = [item for item in reversed(known.models) if item != known.current]
    choices += [StartChoice(f"{item.name} of this project", files[item.number]) for item in others]
    choices.append(StartChoice("a model file…", FROM_FILE))
    return choices


@dataclass(frozen=True)
class TrainingOptions:
    """What a person set."""

    init: str = "none"
    minutes: float = 5
    network: str = ""
    """Where there is no model that has one; empty: the usual one."""
    device: str = "auto"
    patch: int = 0
    """Edge in pixels; 0: by the images."""
    batch: int = 0
    """Patches in a step; 0: by the patch."""
    careful: bool = False
    """A much lower learning rate, in full precision."""

    def arguments(self) -> list[str]:
        """The command line of ``swin-umamba train`` behind DATASET and RUN.

        Raises
        ------
        InputError
            No model file is chosen.
        """
        self._check()
        arguments = ["--init", self.init, "--minutes", f"{self.minutes:g}", "--device", self.device]
        if self.arch:
            arguments += ["--arch", self.arch]
        if self.patch:
            arguments += ["--patch", str(self.patch)]
        if self.batch:
            arguments += ["--batch", str(self.batch)]
        if self.careful:
            rate = f"{self._careful_rate:g}"
            arguments += ["--learning-rate", rate, "--set", "precision.format=fp32"]
        return arguments

    @property
    def arch(self) -> str | None:
        """The network, where there is no model that has one."""
        if self.init not in ("none", "imagenet"):
            return None
        return self.network or (NEW_NETWORK if self.init == "none" else IMAGENET_NETWORK)

    def recipe(self) -> str:
        """The same as a recipe in YAML, for a training elsewhere; the device is chosen there.

        Raises
        ------
        InputError
            No model file is chosen.
        """
        import yaml

        self._check()
        fields: dict[str, Any] = {
            "base": "quick" if self.init == "none" else "finetune",
            "length": {"steps": None, "minutes": float(self.minutes)},
        }
        sampling: dict[str, Any] = {}
        if self.patch:
            sampling["patch"] = [self.patch, self.patch]
        if self.batch:
            sampling["batch"] = self.batch
        if sampling:
            fields["sampling"] = sampling
        if self.careful:
            fields["optimizer"] = {"lr": self._careful_rate}
            fields["precision"] = {"format": "fp32"}
        return _RECIPE_HEADING + yaml.safe_dump(fields, sort_keys=False)

    @property
    def _careful_rate(self) -> float:
        usual = 5e-4
        if self.init != "none":
            usual = 1e-4
        elif (self.arch or "").endswith("tiny"):
            usual = 1e-3
        return usual / 10

    def _check(self) -> None:
        if self.init == FROM_FILE:
            raise InputError("no model file is chosen to start from")

    def with_less_memory(self) -> TrainingOptions:
        """The same with half the patches in a step, or else smaller ones."""
        from dataclasses import replace

        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if not self.batch:
            return replace(self, batch=2)
        smaller = [size for size in PATCHES if size < (self.patch or PATCHES[-1])]
        return replace(self, patch=smaller[-1] if smaller else PATCHES[0])

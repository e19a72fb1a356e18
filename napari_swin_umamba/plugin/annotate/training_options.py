"""What a training begins from and how it is done, and the command line for it. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass

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
    """A tenth of the learning rate, in full precision."""

    def arguments(self) -> list[str]:
        """The command line of ``swin-umamba train`` behind DATASET and RUN.

        Raises
        ------
        InputError
            No model file is chosen.
        """
        if self.init == FROM_FILE:
            raise InputError("no model file is chosen to start from")
        arguments = ["--init", self.init, "--minutes", f"{self.minutes:g}", "--device", self.device]
        network = ""
        if self.init in ("none", "imagenet"):
            usual = NEW_NETWORK if self.init == "none" else IMAGENET_NETWORK
            network = self.network or usual
            arguments += ["--arch", network]
        if self.patch:
            arguments += ["--patch", str(self.patch)]
        if self.batch:
            arguments += ["--batch", str(self.batch)]
        if self.careful:
            rate = 1e-4 if self.init != "none" else 1e-3 if network.endswith("tiny") else 5e-4
            arguments += ["--learning-rate", f"{rate / 10:g}", "--set", "precision.format=fp32"]
        return arguments

    def with_less_memory(self) -> TrainingOptions:
        """The same with half the patches in a step, or else smaller ones."""
        from dataclasses import replace

        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if not self.batch:
            return replace(self, batch=2)
        smaller = [size for size in PATCHES if size < (self.patch or PATCHES[-1])]
        return replace(self, patch=smaller[-1] if smaller else PATCHES[0])

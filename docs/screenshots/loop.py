"""The dock *Annotate & train*, worked with as a person does: by mouse, keys and dialogs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand import Hand
from strokes import Stroke
from studio import Studio

from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

_LOOKS = 3
"""At the held-out slices, until a picture of the curves is worth taking."""


class Loop:
    """The window, the project in it, and a hand that works there.

    Parameters
    ----------
    out
        For the pictures.
    temporary
        For the project's folder.
    """

    def __init__(self, out: Path, temporary: Path) -> None:
        self.folder = temporary
        self.studio = Studio(out, AnnotateWidget, "Annotate & train (Swin-UMamba)")
        self.hand = Hand(self.studio)
        self.viewer, self.dock = self.studio.viewer, self.studio.widget

    @property
    def training(self) -> Any:
        """The sections about training."""
        return self.dock.training

    def section(self, kind: str) -> Any:
        """A section of the dock, by the name of its class."""
        return next(one for one in self.dock.sections if type(one).__name__ == kind)

    def new_project(self, name: str, classes: str, objects: bool, picture: str = "") -> None:
        """*New…*, and what its dialog asks."""

        def fill(dialog: Any) -> None:
            if objects:
                self.hand.tick(dialog.instances)
            self.hand.write(dialog.name, name)
            self.hand.write(dialog.classes, classes)
            self.hand.write(dialog.place, "/data")  # the picture shows nobody's own folders
            if picture:
                self.studio.photograph(picture, of=dialog)
            self.hand.write(dialog.place, str(self.folder))
            self.hand.click(dialog.ok_button)

        self.hand.in_dialog(self.dock.project_section.new_button, fill)

    def wait_for_image(self) -> None:
        """Wait until an image of the project is shown."""
        opened = self.dock.opened
        self.studio.wait_for(lambda: opened.images.current != "" and not opened.images.busy)
        self.studio.wait(0.5)

    def paint(self, what: Sequence[Stroke]) -> None:
        """Draw strokes on the slice shown, each after a click on its class."""
        layer = self.dock.opened.annotation_layer()
        classes = self.section("ClassesSection").list
        for label, pixels, size in what:
            if layer.selected_label != label or layer.mode != "paint":
                self.hand.click_row(classes, label)  # eraser, background, the classes
            self.hand.stroke(layer, pixels, size)

    def complete(self) -> None:
        """*This slice is complete*."""
        self.studio.wait(0.3)
        self.hand.tick(self.section("PaintedSection").complete_check)

    def hold_out(self, number: int, titles: Sequence[str], picture: str = "") -> None:
        """Choose by which slices models are judged.

        Parameters
        ----------
        number
            Rows that there are, once all strokes are saved.
        titles
            Ends of the names of those that are held out.
        picture
            Name of a picture of the choice.
        """
        box = self.training.train.held_out
        self.dock.opened.flush()
        self.studio.wait_for(lambda: len(box.combos) == number)
        self.hand.tick(box.fold.header)
        for block in box._blocks:
            if block.title.endswith(tuple(titles)):
                self.hand.choose(box.combos[block.block], "hold out")
        self.hand.look_at(self.training.train.train_button)
        if picture:
            self.studio.photograph(picture)
        self.hand.tick(box.fold.header, False)

    def train(self, picture: str = "") -> None:
        """Train for two minutes; photograph it while it goes on."""
        training, studio = self.training, self.studio
        self.hand.choose(training.train.form.time, "2 min")
        self.hand.click(training.train.train_button)
        state = training.watch.process.state

        def far_enough() -> bool:
            points = max((len(one) for one in state.dice.values()), default=0)
            return not training.watch.running or points >= _LOOKS

        if picture:
            studio.wait_for(far_enough)
            if not training.watch.running:
                raise RuntimeError("too slow a computer: there was nothing to see of the training")
            self.hand.look_at(training.train.progress)
            studio.photograph(picture, settle=0)
        studio.wait_for(lambda: not training.watch.running)
        self.wait_for_prediction()

    def wait_for_prediction(self) -> None:
        """Wait until the image is predicted by the project's model."""
        self.studio.wait(1)
        self.studio.wait_for(lambda: not self.training.volume.running)
        self.studio.wait(0.5)

    def close(self) -> None:
        """Close the project and the window."""
        self.dock.close_project()
        self.studio.close()

"""Which painted slices are held out, and a choice for those where that is not settled."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.blocks import PaintedBlock, list_blocks, settle
from napari_swin_umamba.plugin.annotate.fold import Fold
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.parts import WrappedLabel, make_narrow, set_blocked
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.project.comparison import FEWEST_SLICES
from napari_swin_umamba.project.roles import Block, Role

__all__ = ["HeldOutBox"]

_CHOICES: tuple[tuple[str, Role | None], ...] = (
    ("automatic", None),
    ("learn from", "train"),
    ("hold out", "held_out"),
)
_ROLES = {"train": "learned from", "held_out": "held out"}
_SETTLED = (
    "Settled: a slice once trained on is never held out, nor the other way round, so that scores "
    "before and after may be compared."
)
_MOST_ROWS = 40


class HeldOutBox(QWidget):
    """A line that says how much is held out, and a fold-out with all blocks."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__()
        self._opened = opened
        self._chosen: dict[Block, Role] = {}
        self._blocks: list[PaintedBlock] | None = None
        self.combos: dict[Block, QComboBox] = {}
        """For blocks whose role is not settled."""
        self._body = QWidget()
        self._grid = QGridLayout(self._body)
        self._grid.setContentsMargins(12, 0, 0, 0)
        self._grid.setColumnStretch(0, 1)
        self.fold = Fold(
            "Held out",
            "Slices that are not learned from, and tell whether a training helped.",
            self._body,
        )
        self.advice = WrappedLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.fold)
        layout.addWidget(self.advice)

    @property
    def has_paint(self) -> bool:
        """Whether anything is painted in the project."""
        return bool(self._blocks)

    def refresh(self) -> None:
        """List blocks as they are now."""
        try:
            blocks = list_blocks(self._opened.project)
        except InputError as error:
            self.advice.setText(sentence(str(error)))
            self.advice.show()
            return
        if blocks != self._blocks:
            self._blocks = blocks
            self._fill(blocks)
        self._show_sum()

    def choose(self, block: Block, role: Role | None) -> None:
        """Choose for a block that is not settled; what its list does."""
        combo = self.combos[block]
        combo.setCurrentIndex([value for _, value in _CHOICES].index(role))

    def keep(self) -> None:
        """Write down what was chosen: a training begins.

        Raises
        ------
        InputError
            A role was settled otherwise meanwhile, or the disk refuses.
        """
        settle(self._opened.project, self._chosen)
        self._chosen.clear()

    def _fill(self, blocks: list[PaintedBlock]) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()  # at once; what takes its place must not be drawn over it
                widget.deleteLater()
        self.combos.clear()
        free = {item.block for item in blocks if item.role is None}
        self._chosen = {block: role for block, role in self._chosen.items() if block in free}
        for row, one in enumerate(blocks[:_MOST_ROWS]):
            title = WrappedLabel(f"{one.title} ({one.slices:,})")
            title.setToolTip(count(one.slices, "painted slice"))
            self._grid.addWidget(title, row, 0)
            if one.role is not None:
                label = QLabel(_ROLES[one.role])
                label.setToolTip(_SETTLED)
                self._grid.addWidget(label, row, 1)
                continue
            self._grid.addWidget(self._combo(one.block), row, 1)
        if len(blocks) > _MOST_ROWS:
            more = WrappedLabel(f"and {len(blocks) - _MOST_ROWS:,} more")
            self._grid.addWidget(more, _MOST_ROWS, 0)

    def _combo(self, block: Block) -> QComboBox:
        combo = QComboBox()
        make_narrow(combo)
        for text, role in _CHOICES:
            combo.addItem(text, role)
        combo.setToolTip("Settled when the next training begins, and for good.")
        chosen = self._chosen.get(block)
        combo.setCurrentIndex([role for _, role in _CHOICES].index(chosen))
        set_blocked(combo, "The project is open to read only." if self._opened.read_only else None)
        combo.currentIndexChanged.connect(lambda index: self._on_choice(block, _CHOICES[index][1]))
        self.combos[block] = combo
        return combo

    def _on_choice(self, block: Block, role: Role | None) -> None:
        if role is None:
            self._chosen.pop(block, None)
        else:
            self._chosen[block] = role
        self._show_sum()

    def _show_sum(self) -> None:
        blocks = self._blocks or []
        held = [
            item for item in blocks if (item.role or self._chosen.get(item.block)) == "held_out"
        ]
        free = [item for item in blocks if not item.role and item.block not in self._chosen]
        slices = sum(item.slices for item in held)
        self.fold.setVisible(bool(blocks))
        self.fold.header.setText(
            f"Held out: {count(slices, 'slice')}"
            if held
            else "Held out: a fifth, chosen at Train"
            if len(free) > 1
            else "Held out: nothing"
        )
        advice = ""
        if blocks and not held and len(free) < 2:
            advice = (
                "Nothing is held out, so it cannot be told whether a training helps. Paint on "
                f"{count(FEWEST_SLICES, 'slice')} or more in another region, or on another image."
            )
        elif held and slices < FEWEST_SLICES:
            advice = (
                f"To tell whether a training helps, at least {FEWEST_SLICES} held-out slices must "
                f"be painted: paint more in {held[0].title}."
            )
        self.advice.setText(advice)
        self.advice.setVisible(bool(advice))

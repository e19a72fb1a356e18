"""*Never paint over other objects*: strokes may cover background as well as what is unlabelled.

napari's *preserve labels* lets strokes cover one value alone, the one that it shows as empty. Here
that is 0, unlabelled; where a prediction was accepted or a slice painted, background is 1.
"""

from __future__ import annotations

from typing import Any

from napari.layers import Labels

from napari_swin_umamba.project import BACKGROUND, UNLABELLED

__all__ = ["let_background_be_painted_over"]

_ASKED = "_get_preserve_labels_source_label"
"""napari's own. Where it is not there, strokes cover what is unlabelled alone."""


class _Free:
    """Equals the values that are no object's: what napari compares pixels with."""

    __array_ufunc__ = None  # NumPy leaves the comparison to this class
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, values: Any) -> Any:
        return (values == UNLABELLED) | (values == BACKGROUND)

    def __ne__(self, values: Any) -> Any:
        return (values != UNLABELLED) & (values != BACKGROUND)


def let_background_be_painted_over(layer: Labels) -> None:
    """Let strokes of an object cover background too, while *preserve labels* is on.

    Parameters
    ----------
    layer
        The annotation of a project of objects.
    """
    asked = getattr(layer, _ASKED, None)
    if asked is None or _ASKED in vars(layer):
        return

    def source(new_label: int) -> Any:
        return asked(new_label) if new_label == UNLABELLED else _Free()

    setattr(layer, _ASKED, source)

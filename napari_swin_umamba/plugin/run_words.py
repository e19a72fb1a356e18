"""What the dock says when a run is over."""

from __future__ import annotations

from napari_swin_umamba.plugin.layer_queue import LayerQueue
from napari_swin_umamba.plugin.parts import NoticeKind
from napari_swin_umamba.plugin.segment_run import RunEnd
from napari_swin_umamba.plugin.words import count, describe_done, sentence

__all__ = ["describe_end"]


def describe_end(
    end: RunEnd, queue: LayerQueue, image_is_there: bool
) -> tuple[NoticeKind, str, str]:
    """Return kind, text and details of the notice for a run that somebody clicked for.

    Parameters
    ----------
    end
        What came of the run, the last one of a queue.
    queue
        The queue it ended, if any.
    image_is_there
        The image still is in the viewer.
    """
    if queue.total > 1 and (end.failure is not None or end.summary is not None):
        return ("warning" if queue.problems else "done"), queue.summary(), ""
    if end.failure is not None:
        return "error", end.failure.message, end.failure.details
    if end.summary is None:
        return "hint", _stopped(end, image_is_there), ""
    name = end.layer.name if end.layer is not None else "–"
    said = describe_done(end.written, end.summary.seconds, name, end.is_new, end.kept)
    notes = map(sentence, end.summary.notes)
    return ("warning" if end.kept else "done"), " ".join([said, *notes]), ""


def _stopped(end: RunEnd, image_is_there: bool) -> str:
    if not image_is_there:
        return "Stopped; the image was removed."
    if end.written and end.task.whole:
        said = f"Stopped; {count(end.written, 'slice')} of {end.task.reading.layout.count:,} done."
        return said + (" The others show the result before." if end.restored else "")
    return "Stopped; nothing was changed."

"""What happens in a run, one JSON object per line in ``RUN/events.jsonl``.

Whoever watches a run (a terminal, the napari widget, a notebook on another machine) tails this
file; it needs no connection to the training process, nor does training wait for it. Every event has
``event`` and ``time`` (seconds since 1970); the others depend on its kind:

=============  ===================================================================================
``start``      ``arch``, ``init``, ``recipe``, ``device``, ``devices``, ``nodes``, ``precision``,
               ``steps``, ``minutes`` (or null), ``training_images``, ``validation_images``,
               ``classes``, ``patch``, ``batch``, ``seed``, ``pid``, ``notes``, ``fingerprint`` (see
               :class:`swin_umamba_training.data.fingerprint.Fingerprint`), ``resumed`` (steps
               that were made already; later lines of these steps, from the run that was cut off,
               are void)
``slices``     ``done``, ``total``, ``case``: slices are written to the cache; before ``start``
``step``       ``step``, ``loss``, ``learning_rate``, ``progress`` (0…1), ``seconds``
``live``       ``step``: the weights after it lie in ``live.safetensors``; while there is a file
               named ``live`` in RUN
``trouble``    ``step``, ``message``, ``action`` (``skip``, ``raise``, ``rollback``), ``precision``,
               ``rate_factor``, ``skipped`` (steps left out so far)
``validation`` ``step``, ``loss``, ``val_loss``, ``score``, ``best``, ``dice`` (by class name, of
               the classes that the validation images hold),
               ``f1`` where objects are numbered, and ``intervals`` (95 %, by class name)
``comparing``  ``done``, ``total``: slices of held-out images that were predicted, on a project
``comparison`` ``name`` (``v4``) and ``number`` of the model in the project, and the fields of
               :class:`napari_swin_umamba.project.Comparison`: ``outcome`` (``better``, ``tie``,
               ``worse``, ``mixed``, ``too_little``, ``first``), ``before``, ``classes``,
               ``slices``, ``difference``, ``interval``, ``notes``; or ``message``, if the model
               could not be compared or kept in the project. Only on a project whose own roles say
               what is held out
``done``       ``step``, ``seconds``, ``score``, ``model``, ``reason`` (``steps``, ``minutes``,
               ``early`` or ``stopped``), ``skipped``
``failed``     ``message``, ``kind`` (``input``: a person can put it right, ``memory``, ``numbers``:
               the loss was none, ``interrupted``, ``error``)
=============  ===================================================================================

Before ``start`` come, while start weights are downloaded, ``download`` events with ``done`` and
``total`` (bytes) and ``note`` (text, often empty). There is no folder yet, so they reach the
listener and ``--json`` only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_swin_umamba.errors import InputError, is_out_of_memory

__all__ = ["Event", "EventLog", "OnEvent"]

Event = dict[str, Any]
OnEvent = Callable[[Event], None]

_SECONDS_BETWEEN_STEPS = 0.2


class EventLog:
    """Appends events to a file and hands each to a listener.

    Steps that follow each other faster than five a second are thinned out.

    Parameters
    ----------
    path
        Written line by line, so that a reader sees whole lines soon.
    listener
        Called with each event.

    Raises
    ------
    InputError
        The file cannot be written, when it is made or later: the disk may have become full.
    """

    def __init__(self, path: Path, listener: OnEvent | None = None) -> None:
        self._path = path
        try:
            _cut_off_part(path)
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._listener = listener
        self._last_step = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            interrupted = isinstance(error, KeyboardInterrupt)
            message = "interrupted" if interrupted else str(error) or type(error).__name__
            # What went wrong first must not be hidden by a disk that cannot take its message.
            with suppress(InputError):
                self.write("failed", message=message, kind=_kind(error))
        try:
            self._file.close()  # writes what is left, and fails again on a full disk
        except OSError as failure:
            if error is None:
                raise self._cannot_write(failure) from failure

    def write(self, event: str, **fields: Any) -> None:
        """Append an event.

        Parameters
        ----------
        event
            Its kind, see the table above.
        **fields
            Numbers, texts, lists and dictionaries of these.
        """
        now = time.time()
        if event == "step":
            if now - self._last_step < _SECONDS_BETWEEN_STEPS:
                return
            self._last_step = now
        record = {"event": event, "time": round(now, 3), **fields}
        try:
            self._append(record)
        except OSError as error:
            raise self._cannot_write(error) from error
        finally:
            if self._listener is not None:
                self._listener(record)

    def _append(self, record: Event) -> None:
        self._file.write(json.dumps(record) + "\n")

    def _cannot_write(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write {self._path}: {error.strerror or error}; make room or choose another "
            "folder (-o); a model saved so far is kept"
        )


def _cut_off_part(path: Path) -> None:
    """Remove a line that a full disk or the end of the process left without its end."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _kind(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if is_out_of_memory(error) or (error.__cause__ and is_out_of_memory(error.__cause__)):
        return "memory"
    if type(error).__name__ == "TrainingDiverged":  # its module is not imported for its name
        return "numbers"
    return "input" if isinstance(error, InputError) else "error"

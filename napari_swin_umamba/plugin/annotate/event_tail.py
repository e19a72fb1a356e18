"""Follow a file that another program appends lines of JSON to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["EventTail"]

_MOST_BYTES = 1 << 20
"""Read at once: a long run's file is taken in pieces, so that the window stays free."""


class EventTail:
    """The events that were written since the last look.

    Parameters
    ----------
    path
        ``events.jsonl``; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        """Where the next line begins: what follows the last whole line is read again."""
        self.at_end = False
        """Whether the last look took all that there was."""

    def read(self) -> list[dict[str, Any]]:
        """Return new events; a line that is not whole yet comes next time."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) < self._offset:  # begun anew
                    self._offset = 0
                file.seek(self._offset)
                data = file.read(_MOST_BYTES)
        except OSError:  # not there yet, or just being replaced
            data = b""
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        self.at_end = not whole or len(data) < _MOST_BYTES
        lines = data[:whole].splitlines()
        return [event for line in lines if (event := _parsed(line)) is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None

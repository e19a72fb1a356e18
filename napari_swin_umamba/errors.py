"""Errors that a person can act on. A leaf: it imports nothing of this package."""

from __future__ import annotations

__all__ = ["Cancelled", "InputError"]


class InputError(ValueError):
    """What a person gave cannot be used.

    The message is one line that says what was received, and what to change (a flag of
    ``swin-umamba`` or a widget). The command line prints it and exits with code 2; the
    plugin shows it as a notification. Neither shows a traceback.
    """


class Cancelled(Exception):  # noqa: N818 - it is not an error: a person asked for it
    """Work was stopped because ``should_stop()`` returned True; nothing was written."""

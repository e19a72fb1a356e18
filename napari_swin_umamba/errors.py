"""Errors that a person can act on. A leaf: it imports nothing of this package."""

from __future__ import annotations

__all__ = ["Cancelled", "DownloadError", "InputError", "is_out_of_memory", "shown"]

# Of torch: the allocator for the CPU (two wordings), CUDA and MPS, cuBLAS and cuDNN.
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


class InputError(ValueError):
    """What a person gave cannot be used.

    The message is one line that says what was received, and what to change (a flag of
    ``swin-umamba`` or a widget). The command line prints it and exits with code 2; the
    plugin shows it as a notification. Neither shows a traceback.
    """


class Cancelled(Exception):  # noqa: N818 - it is not an error: a person asked for it
    """Work was stopped because ``should_stop()`` returned True; nothing was written."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's, torch's of a GPU or of the CPU.

    Torch's are RuntimeErrors. They are looked at by name and words, so that torch is not imported.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in _NO_MEMORY)
    )


class DownloadError(Exception):
    """A file could not be downloaded, though nothing is wrong with what a person gave.

    The message is one line: the address, the reason, and where to put the file by hand. The
    command line prints it and exits with code 1.
    """


def shown(value: object, longest: int = 80) -> str:
    """Return a value as a message can hold it: on one line, cut to `longest` characters."""
    plain = isinstance(value, str) and value.isprintable()
    text = f"'{value}'" if plain else " ".join(repr(value).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."

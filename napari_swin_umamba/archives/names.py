"""Which names a file in an archive may have: such as lie in a folder on every system."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["name_key", "safe_name", "why_unsafe"]

_LONGEST, _DEEPEST = 240, 12
_FORBIDDEN = re.compile(r'[<>"|?*\x00-\x1f\x7f]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def why_unsafe(name: str) -> str:
    """Say why a name is refused; empty if it is good.

    Parameters
    ----------
    name
        With ``/`` between folders, as it stands in the archive.
    """
    parts = name.split("/")
    if not name or len(name) > _LONGEST or len(parts) > _DEEPEST:
        return "has a name that is empty, too long or too deep"
    if "\\" in name or ":" in name or name.startswith("/") or ".." in parts:
        return "could lead out of the folder"
    if any(part in ("", ".") for part in parts):
        return "has an empty folder in its name"
    if _FORBIDDEN.search(name) or any(part != part.strip() or part[-1] == "." for part in parts):
        return "has a name that not every system can have"
    if any(_DEVICE.fullmatch(part) for part in parts):
        return "has the name of a device"
    if not _is_text(name):
        return "has a name that is no text"
    return ""


def name_key(name: str) -> str:
    """The same for names that some system takes for one: of other case, or composed otherwise."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def safe_name(name: str, fallback: str = "file") -> str:
    """Return a file's name, changed only where some system cannot have it.

    Parameters
    ----------
    name
        Without folders.
    fallback
        Where nothing is left.
    """
    plain = re.sub(r'[<>"|?*\x00-\x1f\x7f:/\\]', "-", name)
    if not _is_text(plain):
        plain = plain.encode("utf-8", "replace").decode()
    plain = plain.strip().rstrip(".").strip()
    if len(plain) > 100:  # the end says what kind of file it is
        plain = plain[:60] + plain[-40:]
    if _DEVICE.fullmatch(plain):
        plain = f"_{plain}"
    return plain or fallback


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

"""Download one file of known size over a connection that may be slow, or break.

What may pass (a connection that breaks, a server that is busy, a body that ends early) is tried
again after a pause; what will not (no such file, another file, a certificate that is not
trusted) ends at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.errors import Cancelled, DownloadError

if TYPE_CHECKING:
    import requests

__all__ = ["OnProgress", "Patience", "Progress", "ShouldStop", "download"]

_CHUNK = 1 << 16
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_LARGEST = 2
"""A file that may differ from the published one is refused above this multiple of its size."""


@dataclass(frozen=True)
class Progress:
    """How far a download is."""

    done: int
    """Bytes that have come; fewer than before if it had to begin again."""
    total: int
    """Bytes there are."""
    note: str = ""
    """What happened, if more than bytes coming in: for people, one line."""


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Patience:
    """When to give up, in seconds."""

    connect: float = 15.0
    """For an answer to the connection."""
    stall: float = 30.0
    """Without a byte, or with fewer than `slowest` a second on average."""
    slowest: float = 1024.0
    """Bytes a second."""
    pauses: tuple[float, ...] = (1.0, 3.0, 9.0)
    """Before the second, third, ... try."""


class _MayPass(Exception):
    """Worth another try."""


def download(
    url: str,
    target: Path,
    *,
    size: int,
    exact: bool = True,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    patience: Patience | None = None,
) -> str:
    """Download a file.

    Parameters
    ----------
    url
        ``http://`` or ``https://``; proxies are taken from the environment as usual.
    target
        Written to; holds a part of the file if this fails. Verify it before you use it.
    size
        Bytes that are expected.
    exact
        Refuse another size at once; otherwise up to twice the size is taken.
    on_progress
        Called for every piece that comes, from the same thread.
    should_stop
        Asked between pieces and during pauses.
    patience
        When to give up.

    Returns
    -------
    str
        SHA-256 of what was written, in hexadecimal.

    Raises
    ------
    DownloadError
        The reason alone, as a phrase.
    Cancelled
        `should_stop` returned True.
    OSError
        `target` cannot be written.
    """
    patience = patience or Patience()
    report = on_progress or (lambda _: None)
    stop = should_stop or (lambda: False)
    for attempt in range(len(patience.pauses) + 1):
        try:
            return _try(url, target, size, exact, report, stop, patience)
        except _MayPass as error:
            if attempt == len(patience.pauses):
                raise DownloadError(f"{error} ({attempt + 1} tries)") from error
            pause = patience.pauses[attempt]
            report(Progress(0, size, f"{error}; trying again in {pause:g} s"))
            _sleep(pause, stop)
    raise AssertionError("a try returns or raises")


def _try(
    url: str,
    target: Path,
    size: int,
    exact: bool,
    report: OnProgress,
    stop: ShouldStop,
    patience: Patience,
) -> str:
    digest, done, total = hashlib.sha256(), 0, size
    limit = size if exact else size * _LARGEST
    with target.open("wb") as file, closing(_pieces(url, patience)) as pieces:
        for piece, announced in pieces:
            if stop():
                raise Cancelled
            done += len(piece)
            total = announced or (size if exact else max(size, done))
            if (exact and total != size) or max(total, done) > limit:
                raise DownloadError(
                    f"the server sends another file ({max(total, done):,} bytes instead of "
                    f"{size:,}); a proxy or login page may stand in between"
                )
            # Here and not in _pieces, which would take a full disk for an error of the network.
            file.write(piece)
            digest.update(piece)
            report(Progress(done, total))
        expected = total if exact or announced else 1
    if done < expected:
        raise _MayPass(f"the connection ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()


def _pieces(url: str, patience: Patience) -> Generator[tuple[bytes, int | None], None, None]:
    """Yield what comes as it comes, with the length that the server announced."""
    import requests
    import urllib3

    announced: int | None = None
    try:
        # Bytes as they are: compressed on the way, their number would say nothing.
        with requests.get(
            url,
            stream=True,
            timeout=(patience.connect, patience.stall),
            headers={"Accept-Encoding": "identity"},
        ) as response:
            _check_status(response)
            length = response.headers.get("Content-Length", "")
            announced = int(length) if length.isdecimal() else None
            yield b"", announced  # a wrong size is seen before anything is read
            begin, since = time.monotonic(), 0
            # read1: what is there; read would wait until a whole chunk has come.
            while piece := response.raw.read1(_CHUNK):
                yield piece, announced
                since += len(piece)
                now = time.monotonic()
                if now - begin > patience.stall:
                    if since < patience.slowest * (now - begin):
                        raise _MayPass(f"only {since:,} bytes came in {now - begin:.0f} s")
                    begin, since = now, 0
    except urllib3.exceptions.IncompleteRead as error:
        if announced is None:
            raise _MayPass("the connection broke") from error
        # Else whoever counts the bytes sees that some are missing.
    except requests.exceptions.SSLError as error:
        raise DownloadError(f"the connection cannot be trusted: {_reason(error)}") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _MayPass(f"the server was silent for {patience.stall:g} s") from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.TooManyRedirects,
    ) as error:
        raise DownloadError(_reason(error)) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _MayPass(_reason(error)) from error


def _check_status(response: requests.Response) -> None:
    if response.status_code == 200:
        return
    answer = f"the server answers {response.status_code} {response.reason}"
    raise _MayPass(answer) if response.status_code in _BUSY else DownloadError(answer)


def _reason(error: Exception) -> str:
    """Return the innermost cause in plain words: requests and urllib3 wrap it several times."""
    inner: BaseException = error
    while True:
        causes = (getattr(inner, "reason", None), *inner.args[::-1], inner.__cause__)
        deeper = [cause for cause in causes if isinstance(cause, BaseException)]
        if not deeper:
            break
        inner = deeper[0]
    if type(inner).__name__ in ("NameResolutionError", "gaierror"):
        return "the server's name is not known here: is there an internet connection?"
    text = str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
    return " ".join(text.split())


def _sleep(seconds: float, stop: ShouldStop) -> None:
    end = time.monotonic() + seconds
    while True:
        if stop():
            raise Cancelled
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.1))

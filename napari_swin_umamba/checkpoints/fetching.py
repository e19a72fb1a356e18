"""Bring published weights onto this computer, and make sure that they are the published ones.

in the cache folder? ──yes──► SHA-256 as published? ──yes──────────────────────► use
         │ no                         │ no                                        ▲
         ▼                            ▼                                           │
lock, download, verify       tensors of the exact layout, --accept-hash? ──yes────┘
(or --from FILE)                      │ no
                                      ▼ refused
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.cache import CACHE_VARIABLE
from napari_swin_umamba.checkpoints.download import (
    OnProgress,
    Patience,
    ShouldStop,
    download,
)
from napari_swin_umamba.checkpoints.download_lock import download_lock, parts
from napari_swin_umamba.checkpoints.weights import PublishedWeights, published_weights
from napari_swin_umamba.errors import DownloadError, InputError
from napari_swin_umamba.files import as_path, atomic_path, check_output, hash_file

__all__ = ["LocalWeights", "fetch_weights", "import_weights"]


@dataclass(frozen=True)
class LocalWeights:
    """Weights on this computer."""

    published: PublishedWeights
    path: Path
    sha256: str
    """Of the file, in hexadecimal."""

    @property
    def verified(self) -> bool:
        """Whether the file is the published one; if not, somebody accepted it as it is."""
        return self.sha256 == self.published.sha256


def fetch_weights(
    name: str = "imagenet",
    *,
    accept_hash: bool = False,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    patience: Patience | None = None,
) -> LocalWeights:
    """Return published weights, downloaded at first use.

    Two processes that call this at once download once: the second waits for the first.

    Parameters
    ----------
    name
        A key of :data:`~napari_swin_umamba.checkpoints.weights.PUBLISHED`.
    accept_hash
        Take a file that is not the published one, byte by byte, if it holds exactly the tensors
        that it should.
    on_progress
        Called while bytes come in, and with notes about waiting; not called if the file is here.
    should_stop
        Asked several times a second, except while the server is silent.
    patience
        When to give up.

    Raises
    ------
    InputError
        There are no weights of that name; the file in the cache folder is another one; the folder
        cannot be written or is full.
    DownloadError
        The file does not come, or another one comes; the message says where to put it by hand.
    Cancelled
        `should_stop` returned True. Nothing is left behind.
    """
    published = published_weights(name)
    path = published.path
    if _is_there(path):
        return _checked(published, path, path, accept_hash)
    url = published.url()
    try:
        check_output(path)
    except InputError as error:
        raise InputError(f"{error}, with the environment variable {CACHE_VARIABLE}") from error
    stop = should_stop or (lambda: False)
    patience = patience or Patience()
    with download_lock(
        path, published.size, on_progress or (lambda _: None), stop, patience
    ) as locked:
        if _is_there(path):  # another process downloaded it meanwhile
            return _checked(published, path, path, accept_hash)
        if locked:
            _remove_leftovers(path)
        _check_room(path, published)
        # What check_output refuses was seen above; what the disk refuses later names the path.
        with atomic_path(path, overwrite=True) as part:
            try:
                digest = download(
                    url,
                    part,
                    size=published.size,
                    exact=not accept_hash,
                    on_progress=on_progress,
                    should_stop=stop,
                    patience=patience,
                )
                local = _downloaded(published, path, part, digest, accept_hash)
            except DownloadError as error:
                raise DownloadError(_by_hand(published, url, str(error))) from error
    return local


def import_weights(
    file: str | os.PathLike[str], name: str = "imagenet", *, accept_hash: bool = False
) -> LocalWeights:
    """Copy a file that was downloaded by hand into the cache folder, once it has been checked.

    Parameters
    ----------
    file
        The published file, by any name.
    name, accept_hash
        As in :func:`fetch_weights`.

    Raises
    ------
    InputError
        It is another file, cannot be read, or the cache folder cannot be written.
    """
    published = published_weights(name)
    source, target = as_path(file), published.path
    if not source.is_file():
        raise InputError(f"no such file: {source} (--from)")
    if target.exists() and source.samefile(target):
        return _checked(published, target, target, accept_hash)
    with atomic_path(target, overwrite=True) as part:
        try:
            shutil.copyfile(source, part)
        except OSError as error:
            if error.filename == str(source):
                raise InputError(f"cannot read {source}: {error.strerror} (--from)") from error
            raise
        local = _checked(published, part, source, accept_hash)
    return LocalWeights(published, target, local.sha256)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _checked(
    published: PublishedWeights, path: Path, known_as: Path, accept_hash: bool
) -> LocalWeights:
    """Verify the file `path`, which a person knows by another name if it is a copy."""
    digest = hash_file(path)
    if digest != published.sha256:
        cure = (
            "delete it to download the published one"
            if known_as == published.path
            else f"the published one is at {published.published_url}"
        )
        try:
            _check_tensors(path)
        except InputError as error:
            text = str(error).replace(str(path), str(known_as))
            raise InputError(f"{text}; {cure}") from error
        if not accept_hash:
            raise InputError(
                f"{known_as} has the tensors of {published.name}, but is not the published file: "
                f"its SHA-256 is {digest}, not {published.sha256}; {cure}, or add --accept-hash "
                "if you know where it comes from"
            )
    return LocalWeights(published, path, digest)


def _downloaded(
    published: PublishedWeights, path: Path, part: Path, digest: str, accept_hash: bool
) -> LocalWeights:
    """Verify what came before it gets its name."""
    if digest != published.sha256:
        differs = f"its SHA-256 is {digest}, not {published.sha256}"
        try:
            _check_tensors(part)
        except InputError as error:
            text = str(error).replace(str(part), "what came")
            raise DownloadError(f"another file came ({differs}): {text}") from error
        if not accept_hash:
            raise DownloadError(
                f"another file of the same tensors came ({differs}); add --accept-hash if you "
                "trust that server"
            )
    return LocalWeights(published, path, digest)


def _check_tensors(path: Path) -> None:
    from napari_swin_umamba.checkpoints.vmamba import read_vmamba_tiny

    read_vmamba_tiny(path)


def _by_hand(published: PublishedWeights, url: str, reason: str) -> str:
    return (
        f"cannot download {published.name} ({published.size / 1e6:.0f} MB) from {url}: "
        f"{reason.rstrip('.')}. Without internet here, download {published.published_url} "
        f"elsewhere and run 'swin-umamba weights fetch {published.name} --from FILE', or save it "
        f"as {published.path}"
    )


def _check_room(path: Path, published: PublishedWeights) -> None:
    with suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        if free < published.size:
            raise InputError(
                f"no room for {published.name} in {path.parent}: {published.size / 1e6:.0f} MB are "
                f"needed, {free / 1e6:.0f} MB are free; make room, or choose another folder with "
                f"the environment variable {CACHE_VARIABLE}"
            )


def _remove_leftovers(path: Path) -> None:
    """Remove parts that a killed process left; the lock says that nobody writes one now."""
    for part in parts(path):
        with suppress(OSError):
            part.unlink()

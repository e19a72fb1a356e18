"""Published weights that can be downloaded: what they are, and where they lie on this computer.

Neither torch nor the network is touched here; :mod:`napari_swin_umamba.checkpoints.fetching`
downloads them, :mod:`napari_swin_umamba.checkpoints.imagenet` puts them into a network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from napari_swin_umamba.cache import cache_folder
from napari_swin_umamba.errors import InputError, shown

__all__ = ["PUBLISHED", "URL_VARIABLE", "PublishedWeights", "published_weights"]

URL_VARIABLE = "SWIN_UMAMBA_WEIGHTS_URL"
"""Environment variable that names a mirror: the address of the file, or of its folder with ``/``
at the end."""


@dataclass(frozen=True)
class PublishedWeights:
    """A file of weights that someone published."""

    name: str
    """Short name, as in ``--init NAME``."""
    title: str
    """What it is, for people."""
    published_url: str
    size: int
    """In bytes."""
    sha256: str
    """Lower-case hexadecimal."""
    licence: str
    """SPDX identifier of the repository that publishes it."""
    source: str
    """Address of that repository."""

    @property
    def file_name(self) -> str:
        """Name of the file, as published."""
        return self.published_url.rsplit("/", 1)[-1]

    @property
    def path(self) -> Path:
        """Where the file lies once downloaded, or is put by hand: in the cache folder."""
        return cache_folder() / "weights" / self.file_name

    def url(self) -> str:
        """Return the address to download from: the published one, or that of a mirror.

        Raises
        ------
        InputError
            :data:`URL_VARIABLE` holds something else than an address of the web.
        """
        mirror = os.environ.get(URL_VARIABLE, "").strip()
        if not mirror:
            return self.published_url
        try:
            parts = urlsplit(mirror)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                f"{URL_VARIABLE} must begin with http:// or https://, not {shown(mirror)}; "
                f"for a file on this computer: swin-umamba weights fetch {self.name} --from FILE"
            )
        return mirror + self.file_name if mirror.endswith("/") else mirror


PUBLISHED: dict[str, PublishedWeights] = {
    "imagenet": PublishedWeights(
        name="imagenet",
        title="VMamba-T v0, trained on ImageNet-1k (top-1 82.2 %)",
        published_url=(
            "https://github.com/MzeroMiko/VMamba/releases/download/%23v0cls/"
            "vssmtiny_dp01_ckpt_epoch_292.pth"
        ),
        size=91_649_482,
        # Three public copies agree on it.
        sha256="dbc0cc4f5ec0e45db5fba7c939d2c7d9b617e891ac10766912a8d604c37c5e47",
        licence="MIT",
        source="https://github.com/MzeroMiko/VMamba",
    )
}
"""By name."""


def published_weights(name: str) -> PublishedWeights:
    """Look weights up by name.

    Parameters
    ----------
    name
        A key of :data:`PUBLISHED`.

    Raises
    ------
    InputError
        There are none of that name.
    """
    if name not in PUBLISHED:
        raise InputError(f"unknown weights {shown(name)}: there are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]

"""Planes that were segmented before, so that going back to a slice shows it at once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np

__all__ = ["SliceCache", "plane_key"]

_LIMIT = 256 * 2**20


def plane_key(plane: np.ndarray, *settings: Hashable) -> Hashable:
    """Identify a plane by its content, and by what it is segmented with.

    The content, not the layer and the slider: an image that was changed is segmented anew, one that
    was renamed or opened twice is not. SHA-1 takes 0.6 ms for a megabyte; it guards no secret.
    """
    content = hashlib.sha1(np.ascontiguousarray(plane).data, usedforsecurity=False).digest()
    return content, plane.shape, plane.dtype.str, settings


class SliceCache:
    """Labels (and probabilities) of the planes used last. Safe between threads."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._planes: OrderedDict[Hashable, tuple[np.ndarray, np.ndarray | None]] = OrderedDict()
        self._size = 0
        self._volume: tuple[Hashable, Any] | None = None

    def volume(self, key: Hashable) -> Any:
        """Return the volume kept last, if its key is this; else None."""
        with self._lock:
            return self._volume[1] if self._volume and self._volume[0] == key else None

    def keep_volume(self, key: Hashable, volume: Any) -> None:
        """Keep a prepared volume in place of the one before: only one fits into memory safely."""
        with self._lock:
            self._volume = key, volume

    def get(self, key: Hashable) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Return labels and probabilities of a plane, or None if they are not here."""
        with self._lock:
            if key in self._planes:
                self._planes.move_to_end(key)
            return self._planes.get(key)

    def put(self, key: Hashable, labels: np.ndarray, probabilities: np.ndarray | None) -> None:
        """Keep a plane; the ones used longest ago give way. Callers must not change the arrays."""
        with self._lock:
            self._drop(key)
            self._planes[key] = labels, probabilities
            self._size += _bytes(labels, probabilities)
            while self._size > self._limit:
                self._drop(next(iter(self._planes)))

    def clear(self) -> None:
        """Forget all planes."""
        with self._lock:
            self._planes.clear()
            self._size = 0
            self._volume = None

    def _drop(self, key: Hashable) -> None:
        if key in self._planes:
            self._size -= _bytes(*self._planes.pop(key))


def _bytes(labels: np.ndarray, probabilities: np.ndarray | None) -> int:
    return labels.nbytes + (probabilities.nbytes if probabilities is not None else 0)

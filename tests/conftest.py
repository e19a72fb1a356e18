"""What every test runs under."""

from __future__ import annotations

import os

import pytest

# Before torch, numba or matplotlib are imported. The networks here are tiny: a second thread brings
# little, and on a busy machine threads wait for each other by spinning (measured: five times the
# processor time). Tests that are about threads ask for theirs. Figures are written, never shown.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

WINDOW_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "qapp", "qtbot"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that open a window, so that they can be left out where none can open."""
    for item in items:
        if WINDOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("window")

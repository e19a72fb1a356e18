"""Units of length under the names that files use."""

from __future__ import annotations

import pytest

from napari_swin_umamba.images.units import same_length_factor, unit_name


def test_names() -> None:
    assert unit_name("µm") == unit_name("um") == unit_name("micron") == "micrometer"
    assert unit_name("pixel") is None
    assert unit_name(None) is None


def test_factor() -> None:
    assert same_length_factor("nm", "micrometer") == pytest.approx(1e-3)
    assert same_length_factor(None, "micrometer") == 1

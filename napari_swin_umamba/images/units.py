"""Names of length units, as files spell them and as pint and napari know them."""

from __future__ import annotations

from math import isfinite, prod
from numbers import Real
from typing import Any

__all__ = ["is_time_unit", "known_spacing", "same_length_factor", "unit_name"]

_METRES = {
    "angstrom": 1e-10,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "inch": 2.54e-2,
    "meter": 1.0,
}
_SPELLINGS = {
    "Å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",  # micro sign
    "μm": "micrometer",  # Greek mu
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "in": "inch",
    "m": "meter",
}
_TIMES = frozenset({"second", "minute", "hour", "day"})
_TIME_SPELLINGS = {"s": "second", "ms": "second", "min": "minute", "h": "hour", "d": "day"}


def known_spacing(spacing: Any, count: int = 2) -> tuple[float, ...] | None:
    """Return the spacing along `count` axes, or None where it is not finite numbers above 0.

    Files say 0 or NaN where their writer did not know.
    """
    try:
        sizes = tuple(spacing)
    except TypeError:
        return None
    if len(sizes) != count or not all(isinstance(size, Real) for size in sizes):
        return None
    known = tuple(float(size) for size in sizes)
    return known if isfinite(prod(known)) and min(known) > 0 else None


def unit_name(spelling: str | None) -> str | None:
    """Return the full name of a unit of length, or None if it is none (``"pixel"``, ``""``)."""
    name = _SPELLINGS.get(spelling or "", spelling)
    return name if name in _METRES else None


def is_time_unit(unit: str | None) -> bool:
    """Whether a unit is one of time, under its full name (``"millisecond"``) or a short one."""
    name = _TIME_SPELLINGS.get(unit or "", unit or "")
    return any(name.endswith(time) for time in _TIMES)


def same_length_factor(unit: str | None, other: str | None) -> float:
    """Return what a length in `unit` is multiplied with to be in `other`.

    1 if either is not known: then a length is taken to be in the unit it is compared with.
    """
    known, other_known = unit_name(unit), unit_name(other)
    if known is None or other_known is None:
        return 1.0
    return _METRES[known] / _METRES[other_known]

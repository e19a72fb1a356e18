"""The 2D selective scan: one operator, one file for each backend."""

from napari_swin_umamba.network.selective_scan.backends import (
    BackendStatus,
    ScanBackend,
    active_backend,
    backend_statuses,
)
from napari_swin_umamba.network.selective_scan.operator import selective_scan_2d
from napari_swin_umamba.network.selective_scan.self_check import (
    ScanSpeed,
    SelfCheck,
    check_backend,
    measure_speed,
)
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS

__all__ = [
    "DIRECTIONS",
    "BackendStatus",
    "ScanBackend",
    "ScanSpeed",
    "SelfCheck",
    "active_backend",
    "backend_statuses",
    "check_backend",
    "measure_speed",
    "selective_scan_2d",
]

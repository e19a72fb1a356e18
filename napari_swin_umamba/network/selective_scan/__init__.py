"""The 2D selective scan: one operator, one file for each backend."""

from napari_swin_umamba.network.selective_scan.backends import ScanBackend, active_backend
from napari_swin_umamba.network.selective_scan.operator import selective_scan_2d
from napari_swin_umamba.network.selective_scan.self_check import SelfCheck, self_check
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS

__all__ = [
    "DIRECTIONS",
    "ScanBackend",
    "SelfCheck",
    "active_backend",
    "selective_scan_2d",
    "self_check",
]

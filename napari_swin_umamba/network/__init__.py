"""The networks and the scan they are built on: torch, no files, no napari."""

from napari_swin_umamba.network.registry import ARCHITECTURES, build_network

__all__ = ["ARCHITECTURES", "build_network"]

"""Images, volumes and their labels: axes, voxel sizes, place in the world, files."""

from napari_swin_umamba.images.axes import IMAGE_AXES, channels_first, guess_axes, resolve_axes
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.names import IMAGE_SUFFIXES, VOLUME_SUFFIXES, stem_of, suffix_of
from napari_swin_umamba.images.reading import read_geometry, read_image, read_labels
from napari_swin_umamba.images.writing import LABEL_SUFFIXES, write_labels

__all__ = [
    "IMAGE_AXES",
    "IMAGE_SUFFIXES",
    "LABEL_SUFFIXES",
    "VOLUME_SUFFIXES",
    "Image",
    "StoredGrid",
    "channels_first",
    "guess_axes",
    "read_geometry",
    "read_image",
    "read_labels",
    "resolve_axes",
    "stem_of",
    "suffix_of",
    "write_labels",
]

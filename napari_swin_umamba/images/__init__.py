"""Images and label images: axes, pixel sizes, files."""

from napari_swin_umamba.images.axes import IMAGE_AXES, channels_first, guess_axes, resolve_axes
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.reading import IMAGE_SUFFIXES, read_image, read_labels
from napari_swin_umamba.images.writing import write_labels

__all__ = [
    "IMAGE_AXES",
    "IMAGE_SUFFIXES",
    "Image",
    "channels_first",
    "guess_axes",
    "read_image",
    "read_labels",
    "resolve_axes",
    "write_labels",
]

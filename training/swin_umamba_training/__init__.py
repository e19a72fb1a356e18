"""Training and the command line of napari-swin-umamba."""

"""Swin-UMamba segmentation: run and train models, headless and in napari."""

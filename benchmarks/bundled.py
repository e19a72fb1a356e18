"""Time the bundled model `nuclei` end to end: image in, numbered objects out; the model is loaded.

    python benchmarks/bundled.py

A micrograph of 512 x 512 and a volume of 64 slices of 256 x 256, cut from the plugin's sample of
crowded nuclei. On an otherwise idle computer; median of the runs.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from cpu import processor

import napari_swin_umamba
from napari_swin_umamba import load_model, segment
from napari_swin_umamba.images import read_image

SAMPLE = "plugin/samples/nuclei_crowded.png"


def seconds(run: Callable[[], object], repeats: int) -> str:
    """Median and range; one run before is not counted."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return f"{statistics.median(times):.3f} s ({min(times):.3f} to {max(times):.3f})"


def main() -> None:
    """Print both."""
    folder = napari_swin_umamba.__path__[0]
    image = np.asarray(read_image(f"{folder}/{SAMPLE}").array)
    rows, columns = (-(-512 // size) for size in image.shape)
    micrograph = np.tile(image, (rows, columns))[:512, :512]
    volume = np.stack([np.roll(micrograph, 3 * z)[:256, :256] for z in range(64)])
    model = load_model("nuclei")
    sys.stdout.write(
        f"{processor()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {version('torch')}\n"
        f"512 x 512: {seconds(lambda: segment(micrograph, model, device='cpu'), 9)}\n"
    )
    whole = seconds(lambda: segment(volume, model, device="cpu", axes="ZYX"), 3)
    sys.stdout.write(f"64 x 256 x 256: {whole}\n")


if __name__ == "__main__":
    main()

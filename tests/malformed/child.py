"""Reads the files that stdin names under a limit of memory, and tells of each on stdout."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

LIMIT = 2 * 2**30
"""Bytes: what reading a file may take."""


def limit_memory() -> None:
    """Let allocations beyond the limit fail: of data, since torch alone maps more than that."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(path: Path, is_model: bool) -> None:
    """Read a file in all the ways that there are; the first must raise if it is no good."""
    import numpy as np

    from napari_swin_umamba import load_model
    from napari_swin_umamba.images import read_image

    if is_model:
        load_model(path)
    else:
        np.asarray(read_image(path).array)


def read_more(path: Path, is_model: bool) -> None:
    """Read what does not have to fail: a header may be whole."""
    from napari_swin_umamba.checkpoints import read_model_header
    from napari_swin_umamba.errors import InputError
    from napari_swin_umamba.images import read_geometry, read_labels

    for reader in (read_model_header,) if is_model else (read_geometry, read_labels):
        try:
            reader(path)
        except InputError:
            continue


def peak() -> int:
    """Most memory that the process had, in bytes; 0 if the system does not say.

    Not by ``getrusage``, which counts the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])


def tell(answer: object) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read until stdin ends."""
    import torch  # noqa: F401 - not counted as part of a file's time

    from napari_swin_umamba.errors import InputError
    from napari_swin_umamba.images import dicom, itk, nifti, ome_zarr  # noqa: F401

    limit_memory()
    tell("ready")
    for line in sys.stdin:
        path, is_model = json.loads(line)
        outcome, message = "read", ""
        started = time.perf_counter()
        try:
            read(Path(path), is_model)
        except InputError as error:
            outcome, message = "refused", str(error)
        except BaseException as error:  # noqa: BLE001 - the very thing that is looked for
            outcome, message = "raised", f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        if outcome != "raised":
            try:
                read_more(Path(path), is_model)
            except BaseException as error:  # noqa: BLE001
                outcome, message = "raised", f"{type(error).__name__}: {error}"
        tell([outcome, message, seconds, peak()])


if __name__ == "__main__":
    main()

"""How much of an image a device is given at once: less after it ran out of memory."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network.gpu.replay import Replay
from napari_swin_umamba.plan import PATCH_MULTIPLE
from napari_swin_umamba.segmentation.precision import check_precision, has_bf16

__all__ = ["DeviceFit"]

_logger = logging.getLogger(__name__)

# Pixels of all tiles that a device works on at once. Four tiles of 512 x 512 fill a GPU, and fit
# into 8 GB. A CPU is full with two tiles of 256 x 256; of smaller ones (volumes of small slices)
# several at once spare it most of what each call of the network costs whatever its size.
_GPU_PIXELS = 4 * 512 * 512
_CPU_PIXELS = 2 * 256 * 256
_SMALLEST_TILE = 128  # smaller ones see too little around a pixel


class DeviceFit:
    """How much one device, and the CPU after it, can take.

    A device that runs out of memory is given fewer tiles at once, then smaller tiles; then the
    CPU goes on. What was learnt holds for the images that follow. Each step is logged as a warning
    and kept in `steps`.

    Parameters
    ----------
    device
        To begin with.
    precision
        ``"fp32"`` or ``"bf16"``: what the network computes in, where that costs no accuracy to
        speak of (torch's autocast). A CPU that goes on without bfloat16 takes float32.

    Raises
    ------
    InputError
        The device does not compute in that precision.
    """

    def __init__(self, device: torch.device, precision: str = "fp32") -> None:
        self.device = device
        self._precision = check_precision(precision, device)
        self.steps: list[str] = []
        """What was done about missing memory, one sentence each, for people."""
        self._pixels = _CPU_PIXELS if device.type == "cpu" else _GPU_PIXELS
        self._largest_tile: tuple[int, int] | None = None
        self._replay = Replay()

    def run(
        self, network: torch.nn.Module, tiles: torch.Tensor
    ) -> torch.Tensor | list[torch.Tensor]:
        """Return the network's output for tiles ``(B, C, h, w)`` that lie on the device.

        On GPUs a pass that comes again and again is recorded and replayed as a whole.
        """
        return self._replay(network, tiles)

    def autocast(self) -> AbstractContextManager[object]:
        """Let the network compute in the precision, within this context."""
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def patch(self, patch: tuple[int, int]) -> tuple[int, int]:
        """Largest tile, where a plan says `patch`: rows and columns, multiples of 32."""
        if self._largest_tile is None:
            return patch
        return min(patch[0], self._largest_tile[0]), min(patch[1], self._largest_tile[1])

    def tiles(self, tile: tuple[int, int]) -> int:
        """Return how many tiles of this size to predict at once."""
        return max(1, self._pixels // (tile[0] * tile[1]))

    def take_fewer_tiles(self, tile: tuple[int, int], tiles: int) -> bool:
        """Take half as many tiles at once as those that did not fit; False if that was one."""
        if tiles == 1:
            return False
        self._pixels = tiles // 2 * tile[0] * tile[1]
        self._say(f"{tiles // 2} {'tile' if tiles < 4 else 'tiles'} at once instead of {tiles}")
        self._free()
        return True

    def take_smaller_tiles(self, tile: tuple[int, int]) -> bool:
        """Halve the sides of tiles, given one by one; False if they are as small as is sensible."""
        smaller = _half(tile[0]), _half(tile[1])
        if smaller == tile:
            return False
        self._largest_tile, self._pixels = smaller, smaller[0] * smaller[1]
        self._say(
            f"tiles of {_size(smaller)} pixels instead of {_size(tile)}; labels differ a little"
        )
        self._free()
        return True

    def take_cpu(self) -> bool:
        """Go on with the CPU; False if it is the CPU already."""
        if self.device.type == "cpu":
            return False
        self._say("the CPU goes on with the work, which takes longer")
        self._free()
        self.device, self._pixels, self._largest_tile = torch.device("cpu"), _CPU_PIXELS, None
        if not has_bf16(self.device):
            self._precision = "fp32"
        return True

    def shrink(self, tile: tuple[int, int]) -> None:
        """Take smaller tiles, or else the CPU.

        Raises
        ------
        InputError
            The CPU runs out of memory with the smallest tiles.
        """
        if not self.take_smaller_tiles(tile) and not self.take_cpu():
            raise InputError(
                f"this computer has too little memory for a tile of {_size(tile)} pixels: close "
                "other programs, or choose a smaller network (--model)"
            )

    def _say(self, what: str) -> None:
        name = "this computer" if self.device.type == "cpu" else f"the GPU ({self.device})"
        step = f"{name} ran out of memory: {what}"
        self.steps.append(step)
        _logger.warning("%s", step)

    def _free(self) -> None:
        self._replay.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _half(side: int) -> int:
    """Half a side of a tile, a multiple of 32, or the side itself if that is too small."""
    half = -(-side // (2 * PATCH_MULTIPLE)) * PATCH_MULTIPLE
    return half if half >= _SMALLEST_TILE else side


def _size(tile: tuple[int, int]) -> str:
    return f"{tile[0]} x {tile[1]}"

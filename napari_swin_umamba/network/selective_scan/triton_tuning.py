"""Sizes that the Triton kernels work in, chosen from shapes alone: the same on every run.

Those that matter were compared on an H200 (``benchmarks/gpu_settings.py``, docs/benchmarks.md).
"""

from dataclasses import dataclass

PROJECT_UP_TO_RANK = 16
"""Ranks up to which the forward kernels expand the time step themselves: with more, the products
cost more than writing four maps, which are small in the deep stages that have such ranks."""
CHANNELS = 64
"""Of a block: forward two for each of a warp's 32 threads; backward, where half a warp walks each
way, four."""
SCAN_STEPS = 4
"""Of a strip."""
SCAN_REGISTERS = 128
"""Of a thread at most (NVIDIA): four warps for each scheduler."""
FEW_BLOCKS = 16
"""Below so many, forward blocks are narrow: in place of very short chunks, whose states take long
to carry from one to the next."""
NARROW_CHANNELS = 32
NARROW_REGISTERS = 96
WALK_STEPS = 4
WALK_REGISTERS = 255
WALK_PROGRAMS_PER_PROCESSOR = 8
"""Backward programs launched for each multiprocessor: more would not run at once."""
CARRY_CHANNELS = 32
LARGEST_OFFSET = 2**31 - 1
"""Within one map of an image, in elements; beyond, offsets take 64 bits."""
WEIGHT_GRADIENT_PARTS = 64
"""Parts into which the sum over pixels for the gradient of the time step's weights is cut."""

ENOUGH_PROGRAMS = 2048
"""Warps that keep the largest GPUs busy: about four for each of 528 schedulers."""
SHORTEST_CHUNK = 32
LONGEST_CHUNK = 64
LONGEST_KEPT_CHUNK = 128
"""Of chunks whose first states are kept for the backward pass."""


@dataclass(frozen=True)
class ScanPlan:
    """How the rows of one scan are cut up."""

    length: int
    """Steps of a chunk."""
    chunks: int
    channels: int
    """Of a block at most."""


def plan_scan(batch: int, pixels: int, channels: int, keep_states: bool) -> ScanPlan:
    """Cut rows into chunks, as few as keep a GPU busy.

    Parameters
    ----------
    batch, pixels, channels
        Sizes B, H W and D of the map.
    keep_states
        Whether the states at the chunk borders are kept for a backward pass.
    """
    length, own = (LONGEST_KEPT_CHUNK if keep_states else LONGEST_CHUNK), CHANNELS
    blocks = 2 * max(1, batch) * -(-channels // own)
    if blocks < FEW_BLOCKS and not keep_states:
        own = NARROW_CHANNELS
        blocks = 2 * max(1, batch) * -(-channels // own)
    while length > SHORTEST_CHUNK and blocks * -(-pixels // length) < ENOUGH_PROGRAMS:
        length //= 2
    return ScanPlan(length, -(-pixels // length), own)

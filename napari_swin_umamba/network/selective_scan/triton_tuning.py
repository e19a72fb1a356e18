"""Sizes that the Triton kernels work in, chosen from shapes alone: the same on every run.

``LONGEST_CHUNK`` is the fastest of those tried on an H200 (``benchmarks/gpu_tuning.py``); the
others are estimates from the layout of NVIDIA's GPUs. One warp owns a tile, so blocks of channels
fill its 32 threads.
"""

from dataclasses import dataclass

PROJECT_UP_TO_RANK = 16
"""Ranks up to which the forward kernels expand the time step themselves: with more, the products
cost more than writing four maps, which are small in the deep stages that have such ranks."""

FORWARD_CHANNELS = 32
BACKWARD_CHANNELS = 16
STATE_LANES = 4
"""Threads over which the backward kernel spreads the states of a channel. Its sums go over states
and over channels; 4 x 8 threads exchange least for both."""
REPLAYED_STEPS = 4
"""Steps whose states the backward kernel holds at once; it is written out for this number."""

SCAN_IN_STRIPS = False
"""Whether forward and adjoint kernels are those of ``triton_strips``. Not measured yet."""
WALK_IN_STRIPS = False
"""Whether the backward pass is that of ``triton_strips_backward``. Not measured yet."""
STRIP_CHANNELS = 64
"""With two directions, four channels for each of 32 threads: what memory is read in at once."""
SCAN_STRIP_STEPS = 4
WALK_STRIP_STEPS = 4
SCAN_REGISTERS = 128
WALK_REGISTERS = 168
"""Of a thread at most (NVIDIA): four and three warps for each scheduler."""
WALK_PROGRAMS_PER_PROCESSOR = 12
LARGEST_OFFSET = 2**31 - 1
"""Within one map of an image, in elements; beyond, offsets take 64 bits."""
WEIGHT_GRADIENT_PARTS = 1
"""Parts into which the sum over pixels for the gradient of the time step's weights is cut."""

ENOUGH_PROGRAMS = 2048
"""Warps that keep the largest GPUs busy: about four for each of 528 schedulers."""
PROGRAMS_PER_PROCESSOR = 16
"""Backward programs launched for each multiprocessor: more would not run at once."""
SHORTEST_CHUNK = 32
LONGEST_CHUNK = 128
LONGEST_KEPT_CHUNK = 128
"""Of chunks whose first states are kept: each is run again in the backward pass, into scratch."""


@dataclass(frozen=True)
class ScanPlan:
    """How one scan is cut up."""

    length: int
    """Steps of a chunk."""
    chunks: int
    groups: int
    """Parts into which the backward pass cuts the channels, beside samples and chunks."""


def plan_scan(batch: int, pixels: int, channels: int, keep_states: bool) -> ScanPlan:
    """Cut rows into chunks, as few as keep a GPU busy.

    Parameters
    ----------
    batch, pixels, channels
        Sizes B, H W and D of the map.
    keep_states
        Whether the states at the chunk borders are kept for a backward pass.
    """
    length = LONGEST_KEPT_CHUNK if keep_states else LONGEST_CHUNK
    blocks = 2 * max(1, batch) * -(-channels // FORWARD_CHANNELS)
    while length > SHORTEST_CHUNK and blocks * -(-pixels // length) < ENOUGH_PROGRAMS:
        length //= 2
    chunks = -(-pixels // length)
    backward_blocks = -(-channels // BACKWARD_CHANNELS)
    groups = -(-ENOUGH_PROGRAMS // max(1, 2 * batch * chunks))
    return ScanPlan(length, chunks, max(1, min(groups, backward_blocks)))

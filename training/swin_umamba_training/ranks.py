"""Several processes that train together: which one this is, and what they tell each other.

Who asks before torch was imported is not kept waiting for it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["broadcast", "gather", "is_main_process", "rank", "world_size"]


def is_main_process() -> bool:
    """Whether this process writes files and speaks to people, also before the others are joined.

    Lightning, torchrun and SLURM say in the environment who is who.
    """
    if "torch" in sys.modules and _together():
        return rank() == 0
    names = ("RANK", "SLURM_PROCID")
    given = next((os.environ[name] for name in names if os.environ.get(name)), None)
    if given is not None and ("RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1):
        return int(given) == 0
    return int(os.environ.get("NODE_RANK") or 0) == 0 == int(os.environ.get("LOCAL_RANK") or 0)


def world_size() -> int:
    """Number of processes that train together."""
    from torch import distributed

    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Number of this process, from 0."""
    from torch import distributed

    return distributed.get_rank() if world_size() > 1 else 0


def gather(value: Any) -> list[Any]:
    """The values of all processes, by rank, in every process.

    Parameters
    ----------
    value
        What can be pickled.
    """
    if world_size() == 1:
        return [value]
    from torch import distributed

    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def broadcast(value: Any) -> Any:
    """The value of the first process, in every process.

    Parameters
    ----------
    value
        What can be pickled; that of other processes is not looked at.
    """
    if world_size() == 1:
        return value
    from torch import distributed

    values = [value]
    distributed.broadcast_object_list(values, 0)
    return values[0]


def _together() -> bool:
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized()

"""Weights of the official networks, and of any network of the same tensor names, loaded strictly.

Upstream prints what does not fit and goes on; here every tensor is accounted for or nothing is
loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from napari_swin_umamba.errors import InputError

__all__ = ["LoadReport", "StateDictError", "load_upstream_state_dict"]

_WRAPPERS = ("module.", "_orig_mod.")
_BY_DESIGN = {
    "total_ops": "a profiler's counter (thop), not a weight",
    "total_params": "a profiler's counter (thop), not a weight",
    "num_batches_tracked": "a counter of batch norm, which neither network has",
}
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor of a state dict, and of every tensor of the network."""

    loaded: tuple[str, ...]
    """Tensors that were copied into the network."""
    skipped: Mapping[str, str]
    """Tensors that do not belong into the network by design, with the reason."""
    missing: tuple[str, ...]
    """Tensors of the network that the state dict lacks."""
    unexpected: tuple[str, ...]
    """Tensors that the network does not know."""
    wrong_shape: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Tensors of another shape: shape in the state dict, shape in the network."""
    adapted: Mapping[str, str] = field(default_factory=dict)
    """Tensors that were changed to fit before they were copied, with what was done to them."""
    drawn: tuple[str, ...] = ()
    """Tensors of the network that such a state dict never holds: they stay as they were drawn."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, of another shape or left over, but by design."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} loaded"]
        if self.adapted:
            parts.append(f"{len(self.adapted)} adapted ({_some(self.adapted)})")
        if self.drawn:
            parts.append(f"{len(self.drawn)} of the network begin anew")
        if self.skipped:
            parts.append(f"{len(self.skipped)} skipped by design ({_some(self.skipped)})")
        if self.missing:
            parts.append(f"{len(self.missing)} missing ({_some(self.missing)})")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected ({_some(self.unexpected)})")
        if self.wrong_shape:
            shapes = {
                f"{name} is {list(given)}, not {list(wanted)}": None
                for name, (given, wanted) in self.wrong_shape.items()
            }
            parts.append(f"{len(shapes)} of another shape ({_some(shapes)})")
        return ", ".join(parts)


class StateDictError(InputError):
    """A state dict does not fit the network; ``report`` has every name."""

    def __init__(self, report: LoadReport) -> None:
        super().__init__(
            f"these weights do not fit the network, and none was loaded: {report}; "
            "choose the weights' own network, channels and classes"
        )
        self.report = report


def load_upstream_state_dict(network: nn.Module, state_dict: Mapping[str, Tensor]) -> LoadReport:
    """Copy an upstream state dict into a network, all of it or nothing.

    Parameters
    ----------
    network
        A network of :func:`napari_swin_umamba.network.build_network`.
    state_dict
        Tensors by upstream's names (commit 2c1f72e of JiarunLiu/Swin-UMamba). Prefixes that
        ``DistributedDataParallel`` and ``torch.compile`` add are taken off. Other float types are
        converted to the network's.

    Returns
    -------
    LoadReport
        With everything loaded, or skipped by design.

    Raises
    ------
    StateDictError
        Tensors are missing, unexpected or of another shape; the message names them, and the
        network is as it was.
    """
    own = network.state_dict()
    given = {_plain(name): tensor for name, tensor in state_dict.items()}
    skipped = {
        name: reason
        for name in given
        if name not in own and (reason := _BY_DESIGN.get(name.rsplit(".", 1)[-1]))
    }
    wrong_shape = {
        name: (tuple(tensor.shape), tuple(own[name].shape))
        for name, tensor in given.items()
        if name in own and tensor.shape != own[name].shape
    }
    report = LoadReport(
        loaded=tuple(name for name in given if name in own and name not in wrong_shape),
        skipped=skipped,
        missing=tuple(name for name in own if name not in given),
        unexpected=tuple(name for name in given if name not in own and name not in skipped),
        wrong_shape=wrong_shape,
    )
    if not report.complete:
        raise StateDictError(report)
    with torch.no_grad():
        for name in report.loaded:
            own[name].copy_(given[name])
    return report


def _plain(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    return name


def _some(names: Mapping[str, object] | tuple[str, ...]) -> str:
    shown = ", ".join(list(names)[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown}, and {more} more" if more > 0 else shown

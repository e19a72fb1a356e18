"""What a person can set before a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_swin_umamba.plan import Plan

__all__ = ["SegmentOptions"]


@dataclass(frozen=True)
class SegmentOptions:
    """Settings of a run; the defaults are those of :func:`napari_swin_umamba.segment`."""

    objects: bool | None = None
    """Number objects (True) or show classes (False); None: as the model was trained."""
    mirror: bool = False
    """Average over mirrored copies: four times slower, a little better."""
    overlap: float | None = None
    """Share of a tile that its neighbour covers too; None: as the model's plan says."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``mps``."""
    bf16: bool = False
    """Let the network compute in bfloat16: faster where the device has it, a little less exact."""
    resample: bool | None = None
    """Bring slices to the pixel size of the training images first; None: as the model's plan
    says."""
    object_diameter: float | None = None
    """Of typical objects in pixels: slices are scaled until they are as large as in training."""
    min_area: float | None = None
    """Objects of a smaller area are left out: in the square of the image's unit, or in pixels where
    the size of its pixels is not known."""
    edge_objects: bool = True
    """Keep objects that the image's edge cuts."""
    probabilities: bool = False
    """Also show how probable each class is."""

    def for_plan(self, plan: Plan) -> SegmentOptions:
        """Return the same with the overlap that a run with this model uses."""
        return self if self.overlap is not None else replace(self, overlap=plan.overlap)

    @property
    def precision(self) -> str:
        """What the network computes in, as :func:`napari_swin_umamba.segment` has it."""
        return "bf16" if self.bf16 else "fp32"

"""How an image becomes network input, and network output becomes labels.

A :class:`Plan` is everything beside the weights that training and prediction must agree on.
It is stored as JSON in every model file. A leaf: it imports nothing of this package.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "PATCH_MULTIPLE",
    "Channel",
    "Normalization",
    "Plan",
    "SegmentationClass",
    "VolumePlan",
    "default_color",
]

PATCH_MULTIPLE = 32
"""Height and width that the networks take are multiples of this (five halvings)."""

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common colour vision.
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_BACKGROUND_COLOR = "#000000"


def default_color(class_id: int) -> str:
    """Colour of a class as ``#rrggbb``: black for 0, then a colour-blind-safe cycle."""
    return _BACKGROUND_COLOR if class_id == 0 else _PALETTE[(class_id - 1) % len(_PALETTE)]


class _Frozen(BaseModel):
    """Immutable, and strict about unknown fields: a typo must not pass for a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Normalization(_Frozen):
    """How the intensities of one channel are put on the network's scale."""

    scheme: Literal["zscore", "percentile", "ct", "rescale_to_01", "rgb_to_01", "none"]
    """``zscore``: subtract the image's mean, divide by its standard deviation.

    ``percentile``: clip to the ``lower``-th and ``upper``-th percentile of the image, then
    z-score. ``ct``: clip to ``[lower, upper]``, subtract ``mean``, divide by ``std`` (all four
    from the training data, in the image's unit). ``rescale_to_01``: subtract the minimum, divide by
    the maximum of that. ``rgb_to_01``: divide by 255. ``none``: as is.
    """
    lower: float | None = None
    """``percentile``: in percent (default 1). ``ct``: intensity."""
    upper: float | None = None
    """``percentile``: in percent (default 99). ``ct``: intensity."""
    mean: float | None = None
    """``ct`` only: mean intensity of the training data's foreground."""
    std: float | None = None
    """``ct`` only: standard deviation of the training data's foreground."""

    @model_validator(mode="before")
    @classmethod
    def _default_percentiles(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("scheme") == "percentile":
            given = {key: value for key, value in data.items() if value is not None}
            return {"lower": 1.0, "upper": 99.0} | given
        return data

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        needed = {"percentile": ("lower", "upper"), "ct": ("lower", "upper", "mean", "std")}
        wanted = needed.get(self.scheme, ())
        for name in ("lower", "upper", "mean", "std"):
            given = getattr(self, name) is not None
            if given != (name in wanted):
                problem = "needs" if name in wanted else "does not take"
                raise ValueError(f"normalization '{self.scheme}' {problem} '{name}'")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"normalization: lower {self.lower} is not below upper {self.upper}")
        if self.scheme == "percentile" and not (0 <= (self.lower or 0) <= (self.upper or 0) <= 100):
            raise ValueError("normalization: percentiles must lie in 0..100")
        return self


class Channel(_Frozen):
    """One input channel of the network."""

    name: str
    """What the channel shows, for people: ``"DAPI"``, ``"red"``, ``"T1"``."""
    normalization: Normalization


class SegmentationClass(_Frozen):
    """One output class. Its ``id`` is the output channel and the value in semantic labels."""

    id: int = Field(ge=0)
    """0 is the background."""
    name: str = Field(min_length=1)
    color: str = Field(default="", pattern=r"^#[0-9a-fA-F]{6}$")
    """``#rrggbb``; by default :func:`default_color` of the id."""

    @model_validator(mode="before")
    @classmethod
    def _fill_color(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("color") and isinstance(data.get("id"), int):
            return {**data, "color": default_color(data["id"])}
        return data


class VolumePlan(_Frozen):
    """How a volume is prepared as a whole before its slices are predicted, as nnU-Net v2 does.

    Axes are numbered in the order of nnU-Net's arrays: 0, 1, 2 are z, y, x of the file, from the
    slowest to the fastest. Source: ``default_preprocessor.py`` and ``default_resampling.py`` of
    nnU-Net v2.
    """

    transpose: tuple[int, int, int] = (0, 1, 2)
    """Axes of the volume in the network's order: slices follow the first one
    (``transpose_forward``)."""
    spacing: tuple[float, float]
    """Row and column spacing that slices are resampled to, after transposing."""
    ignore_spacing: bool = False
    """Files' spacing is not looked at: pixels of natural images are 1 x 1."""
    reorient: bool = False
    """Axes are flipped to run to the right, anterior and superior first
    (``NibabelIOWithReorient``)."""
    image_order: int = Field(default=3, ge=0, le=5)
    """Order of the spline that interpolates images within slices."""
    image_order_z: int = Field(default=0, ge=0, le=5)
    """The same across slices, where they are resampled apart from each other."""
    image_separate_z: bool | None = None
    """Resample the slices across the coarsest axis apart from each other; None: if its spacing is
    over three times the finest."""
    logits_order: int = Field(default=1, ge=0, le=5)
    logits_order_z: int = Field(default=0, ge=0, le=5)
    logits_separate_z: bool | None = None
    """The same three for logits on their way back to the image's grid."""
    mask_channels: tuple[int, ...] = ()
    """Channels whose z-score is of the non-zero region alone; around it, values are left."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sorted(self.transpose) != [0, 1, 2]:
            raise ValueError(f"transpose {self.transpose} must hold 0, 1 and 2 once each")
        if min(self.spacing) <= 0:
            raise ValueError(f"spacing {self.spacing} must be positive")
        return self


class Plan(_Frozen):
    """How an image becomes network input, and network output becomes labels."""

    architecture: str = Field(min_length=1)
    """A name that ``napari_swin_umamba.network.build_network`` accepts."""
    channels: tuple[Channel, ...] = Field(min_length=1)
    """Input channels, in the network's order."""
    rgb: bool = False
    """The three channels are red, green, blue; a grey image is repeated into them."""
    classes: tuple[SegmentationClass, ...] = Field(min_length=2)
    """Output classes, background first."""
    patch: tuple[int, int]
    """Height and width in pixels of the largest tile the network sees; multiples of 32."""
    pad_to_patch: bool = False
    """Pad images smaller than the patch up to the whole patch (as nnU-Net models expect),
    not merely to the next multiple of 32."""
    overlap: float = Field(default=0.5, ge=0, le=0.9)
    """Share of a tile that its neighbours cover too, at least, where nobody says otherwise. One
    half is nnU-Net's; less is faster, and makes seams less faint."""
    spacing: tuple[float, float] | None = None
    """Row and column spacing of the training images, in ``unit``; None if unknown."""
    resample: bool = False
    """Slices are brought to ``spacing`` before the network sees them, where the size of their
    pixels is known and nobody says otherwise."""
    unit: str | None = None
    """Unit of ``spacing``, for example ``"micrometer"`` or ``"millimeter"``."""
    plane: Literal["Z", "Y", "X"] | None = None
    """Axis that training volumes were cut along, where it was chosen by a person; None: along the
    coarsest axis of each volume."""
    output: Literal["semantic", "boundary", "distance"] = "semantic"
    """``semantic``: labels are class ids. ``boundary``: class 1 is the interior of objects,
    class 2 their boundary, and labels number the objects. ``distance``: class 1 is the objects,
    and the third output is no class but a pixel's distance to the edge of its object, relative
    to the object's largest, by a sigmoid; labels number the objects."""
    min_object_pixels: int = Field(default=16, ge=0)
    """Objects only: smaller ones are dropped."""
    fill_holes: bool = True
    """Objects only: background that an object encloses belongs to it."""
    convex_objects: bool = False
    """Objects only: they are nearly convex, so one with a waist is taken for two and divided."""
    object_diameter: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Objects only: median diameter in training, in pixels as the network sees them (of a circle of
    the same area); None if unknown."""
    regions: tuple[int, ...] = ()
    """Not empty: the network's outputs are no classes but regions that may overlap, each with a
    sigmoid. Where output i is above one half, the label becomes ``regions[i]``; later ones
    paint over earlier ones. ``semantic`` only."""
    mirror_axes: tuple[Literal[0, 1], ...] = (0, 1)
    """Along which axes of a tile (0 rows, 1 columns) mirroring may be averaged over."""
    folds: int = Field(default=1, ge=1, le=100)
    """Networks of one kind whose logits are averaged: one of each fold of a cross-validation."""
    volume: VolumePlan | None = None
    """How whole volumes are prepared; None: each slice is prepared by itself."""

    @property
    def in_channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.channels)

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.classes)

    @property
    def outputs(self) -> int:
        """Number of output channels of the network."""
        return len(self.regions) or len(self.classes)

    @property
    def numbers_objects(self) -> bool:
        """Whether labels number objects instead of holding class ids."""
        return self.output != "semantic"

    @property
    def label_classes(self) -> tuple[SegmentationClass, ...]:
        """Classes of labels that hold class ids, background first.

        Those of the network, but where it numbers objects: these are one class.
        """
        if self.output == "semantic":
            return self.classes
        interior = self.classes[1]
        name = interior.name.removesuffix("interior").strip() or "object"
        return self.classes[0], interior.model_copy(update={"name": name})

    @field_validator("patch")
    @classmethod
    def _check_patch(cls, patch: tuple[int, int]) -> tuple[int, int]:
        if any(size < PATCH_MULTIPLE or size % PATCH_MULTIPLE for size in patch):
            raise ValueError(f"patch {patch} must be multiples of {PATCH_MULTIPLE}")
        return patch

    @field_validator("spacing")
    @classmethod
    def _check_spacing(cls, spacing: tuple[float, float] | None) -> tuple[float, float] | None:
        if spacing is not None and min(spacing) <= 0:
            raise ValueError(f"spacing {spacing} must be positive")
        return spacing

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rgb and self.in_channels != 3:
            raise ValueError(f"an RGB plan needs 3 channels, not {self.in_channels}")
        ids = [item.id for item in self.classes]
        if ids != list(range(self.num_classes)):
            raise ValueError(f"class ids must be 0, 1, 2, ... in this order, not {ids}")
        names = [item.name for item in self.classes]
        if len(set(names)) != len(names):
            raise ValueError(f"class names must differ: {names}")
        if self.numbers_objects and self.num_classes != 3:
            parts = "interior and boundary" if self.output == "boundary" else "object and distance"
            raise ValueError(f"output '{self.output}' needs background, {parts}, not {names}")
        if self.resample and (self.spacing is None or self.volume is not None):
            raise ValueError("resample needs a spacing, and no volume plan, which has its own")
        self._check_parts()
        return self

    def _check_parts(self) -> None:
        painted = set(self.regions)
        if self.regions and (
            self.output != "semantic"
            or len(painted) < len(self.regions)
            or not painted <= set(range(1, self.num_classes))
        ):
            raise ValueError(
                f"regions {self.regions} must be different classes of a semantic model, not 0"
            )
        if len(set(self.mirror_axes)) < len(self.mirror_axes):
            raise ValueError(f"mirror_axes {self.mirror_axes} must differ")
        if self.volume is not None:
            channels = set(self.volume.mask_channels)
            if self.output != "semantic" or not channels <= set(range(self.in_channels)):
                raise ValueError("a volume plan needs semantic output, and channels that there are")

"""ImageNet weights of VMamba-T v0 in the encoder of Swin-UMamba and Swin-UMamba†.

==============================  ==============================  =================================
in VMamba's file                in the network                  Swin-UMamba / Swin-UMamba†
==============================  ==============================  =================================
``layers.i.blocks.j.*``         ``vssm_encoder.`` + the same    both
``layers.i.downsample.*``       ``vssm_encoder.downsamples.i``  both
``patch_embed.proj.weight``     ``vssm_encoder.`` + the same    † (adapted to n channels)
``patch_embed.proj.bias``       ``vssm_encoder.`` + the same    †
``patch_embed.norm.weight``     ``vssm_encoder.`` + the same    †
``patch_embed.norm.bias``       ``vssm_encoder.`` + the same    both
``norm.*``, ``head.*``          none: the classifier            neither
==============================  ==============================  =================================

As upstream does (commit 2c1f72e of JiarunLiu/Swin-UMamba, ``load_pretrained_ckpt`` in
``nets/SwinUMamba.py`` and ``nets/SwinUMambaD.py``), with one difference: where the image has other
than three channels, upstream's † throws the whole patch embedding away
(docs/decisions/0052-imagenet-weights.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_swin_umamba.checkpoints.upstream import LoadReport
from napari_swin_umamba.checkpoints.vmamba import DEPTHS, DIMS, read_vmamba_tiny
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import as_path

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["IMAGENET_ARCHITECTURES", "check_takes_imagenet", "load_imagenet"]

IMAGENET_ARCHITECTURES = ("swin-umamba", "swin-umamba-d")
"""Networks whose encoder is VMamba-T."""

_PROJECTION = "patch_embed.proj.weight"
_CLASSIFIER = "belongs to the ImageNet classifier"
_STEM = "this network embeds patches of its stem's 48 channels, not of the image (upstream: same)"
_STEM_SKIPS = (_PROJECTION, "patch_embed.proj.bias", "patch_embed.norm.weight")


def check_takes_imagenet(architecture: str) -> None:
    """Refuse a network that ImageNet weights do not fit, before anything is downloaded.

    Parameters
    ----------
    architecture
        A name of :data:`napari_swin_umamba.network.ARCHITECTURES`.

    Raises
    ------
    InputError
        Its encoder has other widths or depths than VMamba-T.
    """
    if architecture not in IMAGENET_ARCHITECTURES:
        raise InputError(
            f"ImageNet weights do not fit {shown(architecture)}: they are VMamba-T's, with "
            f"{', '.join(map(str, DIMS))} channels in {', '.join(map(str, DEPTHS))} blocks; use "
            f"--arch {' or '.join(IMAGENET_ARCHITECTURES)}, or another --init"
        )


def load_imagenet(network: nn.Module, path: str | os.PathLike[str]) -> LoadReport:
    """Put the ImageNet weights of a VMamba-T v0 file into a network's encoder, all or nothing.

    Parameters
    ----------
    network
        A ``swin-umamba`` or ``swin-umamba-d`` of
        :func:`napari_swin_umamba.network.build_network`, for any number of channels.
    path
        The file, as from :func:`~napari_swin_umamba.checkpoints.fetching.fetch_weights`.

    Returns
    -------
    LoadReport
        ``loaded``, ``adapted`` and ``drawn`` are names of the network, ``skipped`` of the file.

    Raises
    ------
    InputError
        The file is another one, or the network has another encoder; it is as it was.
    """
    import torch

    own = network.state_dict()
    has_stem = "stem.0.weight" in own
    _check_network(own)
    ready: dict[str, Tensor] = {}
    skipped: dict[str, str] = {}
    adapted: dict[str, str] = {}
    for name, tensor in read_vmamba_tiny(as_path(path)).items():
        if name.startswith(("norm.", "head.")):
            skipped[name] = _CLASSIFIER
        elif has_stem and name in _STEM_SKIPS:
            skipped[name] = _STEM
        else:
            ready[_own_name(name)] = tensor
    projection = _own_name(_PROJECTION)
    if not has_stem and (channels := own[projection].shape[1]) != 3:
        ready[projection], adapted[projection] = _to_channels(ready[projection], channels)
    wrong = [name for name, tensor in ready.items() if own[name].shape != tensor.shape]
    assert not wrong, f"checked above, yet of another shape: {wrong}"
    with torch.no_grad():
        for name, tensor in ready.items():
            own[name].copy_(tensor)
    return LoadReport(
        loaded=tuple(name for name in ready if name not in adapted),
        skipped=skipped,
        missing=(),
        unexpected=(),
        wrong_shape={},
        adapted=adapted,
        drawn=tuple(name for name in own if name not in ready),
    )


def _own_name(name: str) -> str:
    return "vssm_encoder." + re.sub(r"^layers\.(\d+)\.downsample\.", r"downsamples.\1.", name)


def _check_network(own: Mapping[str, Tensor]) -> None:
    block = re.compile(r"vssm_encoder\.layers\.(\d+)\.blocks\.\d+\.ln_1\.weight")
    stages = [(int(found.group(1)), len(own[name])) for name in own if (found := block.match(name))]
    wanted = [(i, DIMS[i]) for i, depth in enumerate(DEPTHS) for _ in range(depth)]
    if sorted(stages) != wanted:
        raise InputError(
            "ImageNet weights do not fit this network's encoder: they are VMamba-T's, with "
            f"{', '.join(map(str, DIMS))} channels in {', '.join(map(str, DEPTHS))} blocks; use "
            f"{' or '.join(IMAGENET_ARCHITECTURES)}"
        )


def _to_channels(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    """Adapt filters for red, green and blue to another number of channels.

    Every channel gets the sum over the three colours, divided by the number of channels. So an
    image whose channels are all alike is embedded just as VMamba embeds it as a grey colour image,
    and activations keep their scale whatever the number of channels.

    Parameters
    ----------
    weight
        ``(96, 3, 4, 4)``.
    channels
        n, at least 1.

    Returns
    -------
    Tensor, ``(96, n, 4, 4)``
    str
        What was done, for people.
    """
    total = weight.double().sum(1, keepdim=True)
    how = "the sum of the filters for red, green and blue"
    if channels > 1:
        how += f", divided by {channels}, for each of {channels} channels"
    return (total / channels).expand(-1, channels, -1, -1).to(weight.dtype), how

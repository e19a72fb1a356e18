"""Number formats of a prediction: what a device can, and how near bfloat16 comes to float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_swin_umamba
from napari_swin_umamba import load_model, segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image
from napari_swin_umamba.segmentation import BatchOptions, has_bf16
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.precision import check_precision

CPU = torch.device("cpu")
SAMPLE = Path(napari_swin_umamba.__file__).parent / "plugin" / "samples" / "nuclei_crowded.png"


def test_unknown_formats_are_refused() -> None:
    for wrong in ("bf32", "", "FP32"):
        with pytest.raises(InputError, match=r"choose fp32 or bf16 \(--precision\)"):
            check_precision(wrong, CPU)
    with pytest.raises(InputError, match="unknown precision"):
        BatchOptions(precision="int8").check()


@pytest.mark.usefixtures("without_bf16")
def test_a_processor_without_bfloat16_says_so(make_model: Callable[..., Model]) -> None:
    assert not has_bf16(CPU)
    assert check_precision("fp32", CPU) == "fp32"
    with pytest.raises(InputError, match="this processor cannot compute in bfloat16; choose fp32"):
        segment(np.zeros((32, 32)), make_model(), device="cpu", precision="bf16")
    with pytest.raises(InputError, match="device 'mps' cannot compute in bfloat16"):
        check_precision("bf16", torch.device("mps"))


@pytest.mark.usefixtures("with_bf16")
def test_bfloat16_finds_the_same_nuclei() -> None:
    image, model = read_image(SAMPLE), load_model("nuclei")
    exact, coarse = (
        segment(image, model, device="cpu", probabilities=True, precision=precision)
        for precision in ("fp32", "bf16")
    )
    assert exact.probabilities is not None
    assert coarse.probabilities is not None
    assert coarse.probabilities.dtype == np.float32
    differences = np.abs(exact.probabilities - coarse.probabilities)
    assert 0 < differences.mean() < 2e-3  # 0: it was float32 after all
    assert np.mean((exact.labels > 0) == (coarse.labels > 0)) > 0.998
    assert abs(int(exact.labels.max()) - int(coarse.labels.max())) <= 1


@pytest.mark.usefixtures("with_bf16")
def test_a_gpu_gives_way_to_a_cpu_of_the_same_precision(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def on_cpu() -> bool:
        fit = DeviceFit(torch.device("cuda:0"), "bf16")
        assert fit.take_cpu()
        with fit.autocast():
            return torch.is_autocast_enabled("cpu")

    assert on_cpu()
    request.getfixturevalue("without_bf16")
    assert not on_cpu()

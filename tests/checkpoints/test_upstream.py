"""Every tensor of an upstream state dict is accounted for, or nothing is loaded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from napari_swin_umamba.checkpoints import load_upstream_state_dict
from napari_swin_umamba.checkpoints.upstream import StateDictError
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import build_network

TINY = "swin-umamba-d-tiny"


@pytest.fixture
def network() -> nn.Module:
    return build_network(TINY, 1, 2)


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return build_network(TINY, 1, 2).state_dict()


def assert_loaded(network: nn.Module, weights: dict[str, Tensor]) -> None:
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_a_whole_state_dict_is_loaded(network: nn.Module, weights: dict) -> None:
    report = load_upstream_state_dict(network, weights)

    assert_loaded(network, weights)
    assert set(report.loaded) == set(weights)
    assert report.complete
    assert str(report) == f"{len(weights)} loaded"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_taken_off(prefix: str, network: nn.Module, weights: dict) -> None:
    load_upstream_state_dict(network, {prefix + name: t for name, t in weights.items()})

    assert_loaded(network, weights)


def test_half_precision_is_converted(network: nn.Module, weights: dict) -> None:
    load_upstream_state_dict(network, {name: t.half() for name, t in weights.items()})

    assert_loaded(network, {name: t.half().float() for name, t in weights.items()})


def test_counters_of_a_profiler_are_skipped_with_the_reason(
    network: nn.Module, weights: dict
) -> None:
    counters = {"total_ops": torch.zeros(1), "decoder.total_params": torch.zeros(1)}

    report = load_upstream_state_dict(network, weights | counters)

    assert_loaded(network, weights)
    assert set(report.skipped) == set(counters)
    assert "profiler" in report.skipped["total_ops"]
    assert "2 skipped by design" in str(report)


def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    network: nn.Module, weights: dict
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    removed, reshaped = "decoder.seg_layers.3.bias", "decoder.seg_layers.3.weight"
    del weights[removed]
    weights[reshaped] = torch.zeros(5, 24, 1, 1)
    weights["classifier.head.weight"] = torch.zeros(1000, 768)

    with pytest.raises(StateDictError) as caught:
        load_upstream_state_dict(network, weights)

    report = caught.value.report
    assert report.missing == (removed,)
    assert report.unexpected == ("classifier.head.weight",)
    assert report.wrong_shape == {reshaped: ((5, 24, 1, 1), (2, 24, 1, 1))}
    message = str(caught.value)
    for text in (removed, reshaped, "classifier.head.weight", "[5, 24, 1, 1]", "[2, 24, 1, 1]"):
        assert text in message
    assert "\n" not in message
    assert isinstance(caught.value, InputError)
    assert_loaded(network, before)


def test_many_names_are_counted_but_not_all_shown(network: nn.Module) -> None:
    with pytest.raises(StateDictError, match=r"missing \(.*, and \d+ more\)"):
        load_upstream_state_dict(network, {})

"""Training and validation never hold neighbouring slices; roles in a project never change."""

from __future__ import annotations

import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import Roles
from swin_umamba_training.data.samples import Sample
from swin_umamba_training.data.splitting import split, split_by_roles, split_folds


def volumes(count: int, slices: int) -> list[Sample]:
    return [
        Sample(f"v{case}:{place}", f"v{case}", (place,), place)
        for case in range(count)
        for place in range(slices)
    ]


def images(count: int) -> list[Sample]:
    return [Sample(f"i{index}", f"i{index}") for index in range(count)]


def check_apart(training, validation) -> None:
    assert training
    assert validation
    assert not set(training) & set(validation)
    held = {(sample.case, sample.place) for sample in validation}
    for sample in training:
        if sample.place is not None:
            assert (sample.case, sample.place - 1) not in held
            assert (sample.case, sample.place + 1) not in held


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("samples", [volumes(1, 40), volumes(3, 20), volumes(2, 9)])
def test_few_volumes_are_cut_into_blocks(samples: list[Sample], seed: int) -> None:
    training, validation = split(samples, (), 0.25, seed)
    check_apart(training, validation)
    assert split(samples, (), 0.25, seed) == (training, validation)
    # whole blocks, and little is lost between them
    assert len({(s.case, s.place // 8) for s in validation}) * 8 >= len(validation)
    assert len(training) + len(validation) >= 0.75 * len(samples)


def test_many_volumes_stay_whole() -> None:
    samples = volumes(10, 12)
    training, validation = split(samples, (), 0.2, 0)
    assert len(validation) == 24
    assert not {s.case for s in training} & {s.case for s in validation}
    assert len(training) + len(validation) == len(samples)


@pytest.mark.parametrize("samples", [volumes(1, 40), volumes(7, 6), images(11)])
def test_folds_hold_out_everything_once(samples: list[Sample]) -> None:
    held: list[Sample] = []
    for fold in range(5):
        training, validation = split_folds(samples, fold, 5, seed=3)
        check_apart(training, validation)
        held += validation
    assert sorted(s.name for s in held) == sorted(s.name for s in samples)


def test_too_few_for_folds() -> None:
    with pytest.raises(InputError, match="--folds"):
        split_folds(images(4), 0, 5, 0)


def test_slices_by_name() -> None:
    samples = volumes(2, 20)
    training, validation = split(samples, ("v1:5-7", "v0:2"), 0.2, 0)
    assert [s.name for s in validation] == ["v0:2", "v1:5", "v1:6", "v1:7"]
    check_apart(training, validation)
    assert len(training) == 40 - 4 - 4
    for wrong in ("v1:30-40", "v7:1", "v1:x"):
        with pytest.raises(InputError, match="--val"):
            split(samples, (wrong,), 0.2, 0)


def test_one_short_volume_cannot_be_split() -> None:
    with pytest.raises(InputError, match="--val-fraction 0"):
        split(volumes(1, 8), (), 0.2, 0)


@pytest.mark.parametrize("seed", range(4))
def test_roles_are_kept_as_more_is_painted(seed: int) -> None:
    ids = {"v0": "a", "v1": "b"}
    everything = volumes(2, 60)
    roles, before = Roles(), {}
    for count in (8, 30, 75, 120):
        # painted here and there, more each time
        samples = sorted(everything, key=lambda s: (s.place * 7 + len(s.case)) % 61)[:count]
        (training, validation), roles = split_by_roles(samples, ids, roles, 0.25, seed)
        check_apart(training, validation)
        now = {s.name: "train" for s in training} | {s.name: "held_out" for s in validation}
        assert all(now.get(name, role) == role for name, role in before.items())
        before |= now
        blocks = {roles.block_of(ids[s.case], s.place) for s in samples}
        held = roles.known(blocks, "held_out")
        assert 0.15 <= len(held) / len(blocks) <= 0.5


def test_a_single_block_is_trained_on() -> None:
    (training, validation), roles = split_by_roles(volumes(1, 5), {"v0": "a"}, Roles(), 0.2, 0)
    assert len(training) == 5
    assert validation == ()
    assert roles.role(("a", 0)) == "train"


@pytest.mark.parametrize("name", ["scan.1", "scan.1.nii.gz", "scan.1.png"])
def test_held_out_images_are_named_with_or_without_their_ending(name: str) -> None:
    samples = [Sample("scan.1", "scan.1"), Sample("scan.2", "scan.2")]
    _, validation = split(samples, (name,), 0.2, 0)
    assert [sample.name for sample in validation] == ["scan.1"]

"""Checkpoints are read by an allow-list: what else is in them is named, and never runs."""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_swin_umamba import InputError, load_model
from napari_swin_umamba.checkpoints.safe_pickle import TensorRecord, read_checkpoint


def archive(path: Path, pickled: bytes, **more: bytes) -> Path:
    """Write what ``torch.save`` would, around any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", b"little")
        for name, content in more.items():
            file.writestr(f"archive/{name}", content)
    return path


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_what_torch_saves(tmp_path: Path) -> None:
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tensors = {
        "plain": base,
        "view": base.t()[1:],
        "half": torch.ones(2, dtype=torch.float16),
        "bfloat16": torch.full((2,), 1.5, dtype=torch.bfloat16),
        "whole": torch.tensor([1, -2]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
    }
    tree = {
        "tensors": collections.OrderedDict(tensors),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "numbers": [np.float64(0.5), np.float32(0.25), np.int64(3)],
        "device": torch.device("cuda"),
        "size": torch.Size([1, 2]),
        "text": ("a", None, True, 1.5),
    }
    path = tmp_path / "saved.pth"
    torch.save(tree, path)
    read = read_checkpoint(path)
    assert read.tree["text"] == tree["text"]
    assert read.tree["size"] == (1, 2)
    assert isinstance(read.tree["parameter"], TensorRecord)
    loaded = read.tensors(read.tree["tensors"])
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


def test_numbers_of_older_numpy(tmp_path: Path) -> None:
    """NumPy 1 wrote ``numpy.core`` where NumPy 2 writes ``numpy._core``."""
    pickled = pickle.dumps({"best": np.float64(0.5)}, protocol=2)
    assert b"numpy._core.multiarray" in pickled
    old = pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert "best" in read_checkpoint(archive(tmp_path / "old.pth", old)).tree


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (__import__("os").system, ("touch {marker}",), "os.system"),
        (eval, ("open('{marker}', 'w')",), "builtins.eval"),
        (getattr, (1, "real"), "builtins.getattr"),
        (__import__, ("os",), "builtins.__import__"),
        (open, ("{marker}", "w"), "io.open"),
        (__import__("subprocess").Popen, (["touch", "{marker}"],), "subprocess.Popen"),
        (__import__("functools").partial, (print,), "functools.partial"),
        (torch.load, ("{marker}",), "torch.serialization.load"),
        (torch.nn.Linear, (1, 1), "torch.nn.modules.linear.Linear"),
        (np.frombuffer, (b"1234",), "numpy.frombuffer"),
        (collections.Counter, (), "collections.Counter"),
    ],
)
def test_other_globals_are_named_and_never_run(
    tmp_path: Path, function: Any, arguments: tuple, named: str
) -> None:
    marker = tmp_path / "marker"
    filled = tuple(
        item.format(marker=marker) if isinstance(item, str) else item for item in arguments
    )
    for protocol in (2, 4):
        pickled = pickle.dumps({"network_weights": Calls(function, *filled)}, protocol)
        path = archive(tmp_path / f"evil{protocol}.pth", pickled)
        with pytest.raises(InputError, match="is not on the list") as caught:
            load_model(path)
        module, _, name = named.rpartition(".")
        assert name in str(caught.value)
        assert module.split(".")[0] in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
    ],
)
def test_every_way_to_name_a_global(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(InputError, match=r"'os\.system'"):
        load_model(archive(tmp_path / "evil.pth", pickled))


def test_extensions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="extension 1 of copyreg"):
        load_model(archive(tmp_path / "evil.pth", b"\x80\x02\x82\x01."))


def test_what_is_allowed_cannot_be_changed(tmp_path: Path) -> None:
    """A pickle may give objects a state; those that all files share must not take one."""
    pickled = b"\x80\x02ctorch\nFloatStorage\n}X\x08\x00\x00\x00itemsizeK\x01sb."
    with pytest.raises(InputError, match="damaged"):
        load_model(archive(tmp_path / "evil.pth", pickled))
    path = tmp_path / "good.pth"
    torch.save({"a": torch.ones(4)}, path)
    assert read_checkpoint(path).tree["a"].itemsize == 4


def saved(tree: object) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path: Path, kept: float) -> None:
    whole = saved({"network_weights": {"a": torch.ones(1000)}})
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match="empty|cut off"):
        load_model(path)


def test_damaged_bytes_are_found(tmp_path: Path) -> None:
    raw = bytearray(saved({"a": torch.ones(1000)}))
    raw[raw.index(b"\x00\x00\x80\x3f" * 100) + 50] ^= 1
    path = tmp_path / "flipped.pth"
    path.write_bytes(raw)
    read = read_checkpoint(path)
    with pytest.raises(InputError, match="damaged.*CRC"):
        read.tensors(read.tree)


def test_text_and_old_formats(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    for content in (b"hello", pickle.dumps({}), b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no checkpoint of PyTorch's zip format"):
            load_model(path)


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(10_000_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match="is compressed"):
        load_model(path)


def test_sizes_beyond_the_file_are_refused(tmp_path: Path) -> None:
    """A directory that claims a gigabyte for a member of 4 bytes."""
    path = archive(tmp_path / "bomb.pth", b"N.")
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 20 : entry + 28] = (2**30).to_bytes(4, "little") * 2
    path.write_bytes(raw)
    with pytest.raises(InputError, match="more than it has bytes"):
        load_model(path)


def tensor_pickle(offset: int, shape: tuple, stride: tuple) -> bytes:
    """A tensor over a record of 4 numbers that says to be anything."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if isinstance(thing, Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", 4)
            return None

    build = torch._utils._rebuild_tensor_v2
    call = Calls(build, Storage(), offset, shape, stride, False, collections.OrderedDict())
    file = io.BytesIO()
    Pickler(file, 2).dump({"a": call})
    return file.getvalue()


@pytest.mark.parametrize(
    ("offset", "shape", "stride"), [(0, (5,), (1,)), (2, (3,), (1,)), (0, (2, 2), (10**12, 1))]
)
def test_tensors_stay_inside_their_record(
    tmp_path: Path, offset: int, shape: tuple, stride: tuple
) -> None:
    path = archive(
        tmp_path / "tensor.pth", tensor_pickle(offset, shape, stride), **{"data/0": bytes(16)}
    )
    read = read_checkpoint(path)
    with pytest.raises(InputError, match="'a' is larger than what is stored"):
        read.tensors(read.tree)


@pytest.mark.parametrize(
    ("offset", "shape", "stride"), [(-1, (2,), (1,)), (0, (2,), (1, 1)), (0, (-2,), (1,))]
)
def test_tensors_that_make_no_sense(
    tmp_path: Path, offset: int, shape: tuple, stride: tuple
) -> None:
    path = archive(tmp_path / "tensor.pth", tensor_pickle(offset, shape, stride))
    with pytest.raises(InputError, match="damaged.*described wrongly"):
        read_checkpoint(path)


def test_a_tensor_without_its_record(tmp_path: Path) -> None:
    read = read_checkpoint(archive(tmp_path / "tensor.pth", tensor_pickle(0, (4,), (1,))))
    with pytest.raises(InputError, match="damaged.*data/0"):
        read.tensors(read.tree)


def test_big_endian_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"N.")
        file.writestr("archive/byteorder", b"big")
    with pytest.raises(InputError, match="big-endian"):
        load_model(path)


def nested(kind: type, depth: int) -> Any:
    """Few bytes that hold each other twice, over and over: 2 ** depth values."""
    value: Any = kind(("x",))
    for _ in range(depth):
        value = kind((value, value))
    return value


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "tree",
    [
        {"trainer_name": nested(list, 40)},
        {"init_args": {"configuration": nested(tuple, 40)}},
        {"deep": [[[[[[[[nested(list, 60)]]]]]]]]},
        {1, 2},
        frozenset([1]),
    ],
    ids=["lists", "tuples", "deep", "set", "frozenset"],
)
def test_trees_that_nobody_can_walk_are_refused(tmp_path: Path, tree: object) -> None:
    path = archive(tmp_path / "bomb.pth", pickle.dumps(tree, protocol=4))
    with pytest.raises(InputError, match="is damaged"):
        load_model(path)


@pytest.mark.timeout(20)
def test_keys_that_take_for_ever_to_hash_are_refused(tmp_path: Path) -> None:
    key = b"(K\x01K\x01tq\x00" + b"".join(b"0(h%ch%ctq%c" % (n, n, n + 1) for n in range(60))
    for pickled in (b"\x80\x02}" + key + b"K\x01s.", b"\x80\x02}(" + key + b"K\x01u."):
        path = archive(tmp_path / "bomb.pth", pickled)
        with pytest.raises(InputError, match="keys that are neither names nor numbers"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("shape", "stride"),
    [((0, 2**65), (1, 1)), ((0, 2**62, 2**62), (1, 1, 1)), ((2**62, 2**62), (0, 0)), ((9,), (0,))],
)
def test_tensors_of_absurd_size(
    tmp_path: Path, shape: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = archive(tmp_path / "t.pth", tensor_pickle(0, shape, stride), **{"data/0": b"\0" * 32})
    with pytest.raises(InputError, match="damaged"):
        checkpoint = read_checkpoint(path)
        checkpoint.tensors(checkpoint.tree)

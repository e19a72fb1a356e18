"""PyTorch's checkpoint files (``torch.save``), read without running anything that is in them.

A checkpoint is a zip archive: a pickle describes a tree of values, and the numbers of each tensor
lie beside it.

    NAME/data.pkl      the tree; tensors are calls of ``torch._utils._rebuild_tensor_v2``
    NAME/byteorder     ``little``
    NAME/data/0, 1, …  the numbers, uncompressed

A pickle is a program that may call any function by name. Here a name is looked up in
:data:`_ALLOWED` alone, whose entries only describe: none imports, opens or executes anything, and
every other name is refused. Sizes are believed only as far as the file can hold them. Tensors are
read when asked for, so neither torch nor the weights are loaded for the tree, and optimizer states
never are. Format: ``torch/serialization.py``, ``caffe2/serialize/inline_container.h`` of PyTorch.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from napari_swin_umamba.errors import InputError, shown

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "Described", "TensorRecord", "read_checkpoint"]

_LARGEST_TREE = 64 * 2**20
"""Bytes of ``data.pkl``. A network of 1,000 tensors and its optimizer take 0.3 million."""
_MOST_DIMENSIONS = 16
_LARGEST_NUMBER = 2**40
"""Numbers of a tensor; sizes and offsets."""
_MOST_VALUES = 2_000_000
"""Of a tree, each counted as often as it is referred to; a training's checkpoint has 10,000."""
_DEEPEST = 64

_STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: str
    itemsize: int


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    itemsize: int
    key: str


@dataclass(frozen=True)
class TensorRecord:
    """Where the numbers of a tensor lie in its file."""

    dtype: str
    """Name of a torch dtype: ``"float32"``."""
    shape: tuple[int, ...]
    key: str
    """Name of the record that holds the numbers."""
    offset: int
    """Index of its first number there."""
    stride: tuple[int, ...]
    itemsize: int
    """Bytes of a number."""

    @property
    def extent(self) -> int:
        """How many numbers of the record it reaches to from the record's beginning."""
        if not prod(self.shape):
            return 0
        steps = zip(self.shape, self.stride, strict=True)
        return self.offset + 1 + sum((size - 1) * step for size, step in steps)


class Described:
    """A value of a kind that is never used here (a NumPy number, a device), as its parts."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def _tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, *_gradient_and_hooks: Any
) -> TensorRecord:
    """Describe a tensor as ``torch._utils._rebuild_tensor_v2`` would build it."""
    sizes, steps = tuple(shape), tuple(stride)
    numbers = (offset, *sizes, *steps)
    if (
        not isinstance(storage, _Storage)
        or not len(sizes) == len(steps) <= _MOST_DIMENSIONS
        or not all(type(number) is int and 0 <= number <= _LARGEST_NUMBER for number in numbers)
        or prod(max(size, 1) for size in sizes) > _LARGEST_NUMBER
    ):
        raise ValueError("a tensor is described wrongly")
    return TensorRecord(storage.dtype, sizes, storage.key, offset, steps, storage.itemsize)


def _parameter(tensor: Any, *_gradient_and_hooks: Any) -> Any:
    return tensor


def _ordered_dict(*items: Any) -> OrderedDict[Any, Any]:
    if items:  # torch's come empty and are filled, which checks their keys
        raise ValueError("an OrderedDict is described wrongly")
    return OrderedDict()


def _size(dimensions: Any = ()) -> tuple[Any, ...]:
    return tuple(dimensions)


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "torch.device": Described,
    "numpy.dtype": Described,
    "_codecs.encode": Described,
    **{f"torch.{name}": _StorageType(*kind) for name, kind in _STORAGES.items()},
    **{f"numpy.{core}.multiarray.scalar": Described for core in ("core", "_core")},
    **{
        f"numpy.dtypes.{name}DType": Described
        for name in ("Float32", "Float64", "Int32", "Int64", "Bool")
    },
}


_PUBLIC = {"posix": "os", "nt": "os"}
"""Modules by the names that people know them under."""


class _Forbidden(Exception):  # noqa: N818 - leaves this module as an InputError
    """The pickle asks for a name that is not allowed."""


# Python's own unpickler: the one in C makes room for as many values as a pickle of a few bytes
# claims to have. mypy does not know it by its name.
_PurePython: Any = pickle._Unpickler


class _Unpickler(_PurePython):
    """Builds the tree out of what :data:`_ALLOWED` has, and nothing else."""

    dispatch = dict(_PurePython.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            # torch.save writes a protocol of Python 2's time, with its names of modules.
            module = _PUBLIC.get(module, module)
            raise _Forbidden(f"{IMPORT_MAPPING.get(module, module)}.{name}")
        return _ALLOWED[full]

    def persistent_load(self, reference: Any) -> _Storage:
        kind, storage, key, *_ = reference
        if kind != "storage" or not isinstance(storage, _StorageType) or not isinstance(key, str):
            raise ValueError("a tensor refers to no numbers")
        return _Storage(storage.dtype, storage.itemsize, key)

    def load_build(self) -> None:
        """Give an object its state. Python's own would change any object's attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Described:
            target.parts = (*target.parts, state)
        elif type(target) is not OrderedDict:  # a state dict carries versions of its modules
            raise ValueError(f"a {type(target).__name__} has no state")

    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        _PurePython.load_setitem(self)

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        _PurePython.load_setitems(self)

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        _PurePython.load_dict(self)

    def load_set(self) -> None:
        raise ValueError("a model's checkpoint has no sets")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.EMPTY_SET[0]] = dispatch[pickle.FROZENSET[0]] = load_set

    def get_extension(self, code: int) -> NoReturn:
        raise _Forbidden(f"extension {code} of copyreg")


def _check_keys(keys: list[Any]) -> None:
    """Refuse keys that are not plain: hashing tuples of tuples of one tuple can take for ever."""
    if not all(isinstance(key, str | int | float | None) for key in keys):
        raise ValueError("a dictionary has keys that are neither names nor numbers")


def _check_extent(tree: Any) -> None:
    """Refuse a tree in which few bytes refer to each other so often that nobody can walk it."""
    waiting, values = [(tree, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if values > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError("it has more values than a model's checkpoint")
        if isinstance(value, dict):
            waiting.extend((part, depth + 1) for part in value.values())
        elif isinstance(value, list | tuple):
            waiting.extend((part, depth + 1) for part in value)
        elif isinstance(value, Described):
            waiting.extend((part, depth + 1) for part in value.parts)


class Checkpoint:
    """The tree of a checkpoint file, and its tensors on demand."""

    def __init__(self, path: Path, tree: Any, folder: str) -> None:
        self.path = path
        self.tree = tree
        """Dictionaries, lists, strings, numbers; :class:`TensorRecord`; :class:`Described`."""
        self._folder = folder

    def tensors(self, records: dict[str, TensorRecord]) -> dict[str, torch.Tensor]:
        """Read the numbers of some tensors.

        Parameters
        ----------
        records
            Out of :attr:`tree`.

        Raises
        ------
        InputError
            The file is gone, cut off, or does not hold them.
        """
        import torch

        read: dict[str, torch.Tensor] = {}
        buffers: dict[str, bytearray] = {}  # tensors may share their numbers
        with _opened(self.path) as archive:
            for name, record in records.items():
                if record.key not in buffers:
                    member = f"{self._folder}/data/{record.key}"
                    buffers[record.key] = bytearray(_record(self.path, archive, member))
                buffer, dtype = buffers[record.key], getattr(torch, record.dtype)
                numbers = max(record.extent, prod(record.shape))
                if numbers * record.itemsize > len(buffer):
                    raise _damaged(self.path, f"'{name}' is larger than what is stored")
                if not prod(record.shape):
                    read[name] = torch.empty(record.shape, dtype=dtype)
                    continue
                count = len(buffer) // record.itemsize
                flat = torch.frombuffer(buffer, dtype=dtype, count=count)
                read[name] = flat.as_strided(record.shape, record.stride, record.offset)
        return read


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tree of a file that ``torch.save`` wrote; nothing in it is executed.

    Parameters
    ----------
    path
        The file. Only PyTorch's zip format, its default since 1.6, is read.

    Raises
    ------
    InputError
        It is no such file, damaged or cut off, or its pickle asks for something that is not on
        the allow-list; the message names that.
    """
    with _opened(path) as archive:
        roots = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(roots) != 1 or roots[0].count("/") != 1:
            raise _no_checkpoint(path)
        folder = roots[0].partition("/")[0]
        if f"{folder}/byteorder" in archive.namelist():
            order = _record(path, archive, f"{folder}/byteorder")
            if order != b"little":
                raise InputError(f"{path} was written on a big-endian computer; save it anew")
        if archive.getinfo(roots[0]).file_size > _LARGEST_TREE:
            raise InputError(f"{path} is too large a pickle for a model's checkpoint")
        pickled = _record(path, archive, roots[0])
    return Checkpoint(path, _unpickle(path, pickled), folder)


def _unpickle(path: Path, pickled: bytes) -> Any:
    try:
        tree = _Unpickler(io.BytesIO(pickled)).load()
        _check_extent(tree)
        return tree
    except _Forbidden as error:
        raise InputError(
            f"{path} is refused: its pickle asks for {shown(str(error))}, which is not on the list "
            "of what a model's checkpoint needs and could run code; nothing of it was executed"
        ) from error
    # Anything can go wrong in a pickle that is damaged or made to break its reader.
    except (RecursionError, MemoryError, Exception) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            yield archive
    except zipfile.BadZipFile as error:
        raise _no_checkpoint(path) from error
    except FileNotFoundError as error:
        raise InputError(f"no such model file: {path} (--model)") from error
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror or error}") from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse archives whose members are compressed, or cannot all lie in the file."""
    total = 0
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise InputError(
                f"{path} is refused: PyTorch stores its records uncompressed, and "
                f"{shown(member.filename)} is compressed; save it anew with torch.save"
            )
        total += member.file_size
    if total > path.stat().st_size:
        raise InputError(f"{path} is refused: it claims to hold more than it has bytes")


def _record(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"the checkpoint {path} is damaged ({shown(why)}); copy it again")


def _no_checkpoint(path: Path) -> InputError:
    size = path.stat().st_size
    if size == 0:
        return InputError(f"the model file {path} is empty (0 bytes); copy it again")
    return InputError(
        f"{path} is no checkpoint of PyTorch's zip format, or it is cut off ({size:,} bytes); copy "
        "it again, or save it anew with torch.save"
    )

"""What every test runs under."""

from __future__ import annotations

import gc
import json
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Before torch, numba or matplotlib are imported. The networks here are tiny: a second thread brings
# little, and on a busy machine threads wait for each other by spinning (measured: five times the
# processor time). Tests that are about threads ask for theirs. Figures are written, never shown.
_side_by_side = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", "2" if _side_by_side == 1 else "1")
os.environ.setdefault("MPLBACKEND", "Agg")

WINDOW_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "qapp", "qtbot"}
LONG = [Path(__file__).with_name(name) for name in ("plugin", "training", "network")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that open a window, so that they can be left out where none can open.

    Folders with long files come first: processes that share the files end at about the same time.
    """
    for item in items:
        if WINDOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("window")
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in LONG))


@pytest.fixture(scope="module", autouse=True)
def _known_objects() -> None:
    """Collect garbage once per file, and let later collections pass over what is left.

    napari's fixtures collect all garbage several times per window, and what torch, numba and
    napari consist of, half a million objects, is none.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server on this computer that answers as it is told, asked without a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with WebServer() as server:
        yield server


@pytest.fixture(scope="session")
def vmamba_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of the layout of VMamba-T v0, with seeded numbers: 92 MB."""
    import torch

    from napari_swin_umamba.checkpoints.vmamba import tiny_layout

    numbers = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in tiny_layout().items():
        tensors[name] = torch.randn(shape, generator=numbers) * 0.02
        if name.endswith("A_logs"):
            tensors[name] += torch.arange(1, 17).log()
        elif re.search(r"norm\.weight|ln_1\.weight|Ds$", name):
            tensors[name] += 1
    path = tmp_path_factory.mktemp("weights") / "vmamba.pth"
    torch.save({"model": tensors}, path)
    yield path
    path.unlink()  # pytest keeps folders of earlier sessions


class WebServer:
    """Answers requests on 127.0.0.1, each by the next of `answers`, the last one again and again.

    An answer is called with the request's handler. What is held back by :meth:`wait` goes on when
    the server ends.
    """

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.paths: list[str] = []
        """Of the requests so far."""
        self.asked = threading.Event()
        self.ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.asked.set()
                answers = server.answers
                with suppress(OSError):  # whoever asked has gone away
                    (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> WebServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float = 60) -> None:
        self.ended.wait(seconds)


def _seeded_array(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Values that depend on the tensor's name and shape alone, and keep activations near 1."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))
    noise = rng.standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "A_logs":
        value = np.log(np.arange(1, shape[-1] + 1)) + 0.2 * noise
    elif leaf == "Ds":
        value = 1 + 0.2 * noise
    elif leaf == "dt_projs_bias":
        dt = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), shape))
        value = dt + np.log(-np.expm1(-dt))
    elif leaf == "dt_projs_weight":
        value = noise * 0.5 / np.sqrt(shape[-1])
    elif leaf == "x_proj_weight":
        value = noise / np.sqrt(shape[-1])
    elif leaf == "weight" and len(shape) == 1:
        value = 1 + 0.1 * noise
    elif leaf == "bias":
        value = 0.1 * noise
    else:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        value = noise / np.sqrt(max(fan_in, 1))
    return value.astype(np.float32)


@pytest.fixture(scope="session")
def seeded_array() -> Callable[..., np.ndarray]:
    """Return a function of name, shape and seed; golden outputs were made with these weights."""
    return _seeded_array


NNUNET = Path(__file__).parent / "data" / "nnunet"


@pytest.fixture(scope="session")
def nnunet_case() -> Path:
    """Folder of a case that the official nnU-Net code segmented: see its README."""
    return NNUNET


@pytest.fixture(scope="session")
def nnunet_plans() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the content of ``plans.json``; arguments change its entries."""
    resample = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}

    def make(
        channels: int = 1,
        patch: tuple[int, ...] = (64, 96),
        scheme: str = "ZScoreNormalization",
        configuration: dict[str, Any] | None = None,
        **entries: Any,
    ) -> dict[str, Any]:
        function = "resample_data_or_seg_to_shape"
        config = {
            "preprocessor_name": "DefaultPreprocessor",
            "patch_size": list(patch),
            "spacing": [1.0] * len(patch),
            "normalization_schemes": [scheme] * channels,
            "use_mask_for_norm": [False] * channels,
            "resampling_fn_data": function,
            "resampling_fn_data_kwargs": resample,
            "resampling_fn_probabilities": function,
            "resampling_fn_probabilities_kwargs": {**resample, "order": 1},
        }
        ct = {"mean": 210.0, "std": 130.0, "percentile_00_5": 20.0, "percentile_99_5": 640.0}
        return {
            "dataset_name": "Dataset901_Seeded",
            "plans_name": "nnUNetPlans",
            "image_reader_writer": "NibabelIO",
            "transpose_forward": [0, 1, 2],
            "configurations": {"2d": {**config, **(configuration or {})}},
            "foreground_intensity_properties_per_channel": {str(i): ct for i in range(channels)},
            **entries,
        }

    return make


@pytest.fixture(scope="session")
def nnunet_dataset() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the content of ``dataset.json``."""

    def make(classes: int = 5, channels: int = 1, **entries: Any) -> dict[str, Any]:
        return {
            "channel_names": {str(index): "MR" for index in range(channels)},
            "labels": {"background": 0, **{f"class{i}": i for i in range(1, classes)}},
            "file_ending": ".nii.gz",
            "name": "Seeded",
            **entries,
        }

    return make


@pytest.fixture(scope="session")
def nnunet_checkpoint() -> Callable[..., dict[str, Any]]:
    """Return a function that makes what nnU-Net's trainers save, NumPy numbers and device too."""
    import torch

    def make(
        plans: dict[str, Any],
        dataset: dict[str, Any],
        weights: dict[str, torch.Tensor] | None = None,
        trainer: str = "nnUNetTrainerSwinUMambaD",
        configuration: str = "2d",
        **entries: Any,
    ) -> dict[str, Any]:
        moments = {"exp_avg": torch.ones(3), "step": 5}
        return {
            "network_weights": {"w": torch.zeros(1)} if weights is None else weights,
            "optimizer_state": {"state": {0: moments}, "param_groups": [{"lr": 1e-4}]},
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "ema_fg_dice": [np.float32(0.5)]},
            "_best_ema": np.float64(0.5),
            "current_epoch": 100,
            "init_args": {
                "plans": plans,
                "configuration": configuration,
                "fold": "all",
                "dataset_json": dataset,
                "unpack_dataset": True,
                "device": torch.device("cuda"),
            },
            "trainer_name": trainer,
            "inference_allowed_mirroring_axes": (0, 1),
            **entries,
        }

    return make


@pytest.fixture(scope="session")
def nnunet_folder(
    tmp_path_factory: pytest.TempPathFactory,
    nnunet_plans: Callable[..., dict[str, Any]],
    nnunet_dataset: Callable[..., dict[str, Any]],
    nnunet_checkpoint: Callable[..., dict[str, Any]],
) -> Path:
    """Trained-model folder of the golden case: the real network, folds 0 and 1 and ``all``.

    ``all`` holds the weights of the golden case; 0 and 1 have other seeds.
    """
    import torch

    from napari_swin_umamba.network import build_network

    case = json.loads((NNUNET / "case.json").read_text())
    plans, dataset = nnunet_plans(), nnunet_dataset()
    network = build_network("swin-umamba-d", 1, 5)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    folder = tmp_path_factory.mktemp("nnunet") / "nnUNetTrainerSwinUMambaD__nnUNetPlans__2d"
    for fold, seed in (("all", case["seed"]), ("0", 4), ("1", 5)):
        weights = {
            name: torch.from_numpy(_seeded_array(name, shape, seed))
            for name, shape in shapes.items()
        }
        (folder / f"fold_{fold}").mkdir(parents=True)
        saved = nnunet_checkpoint(plans, dataset, weights, case["trainer"])
        torch.save(saved, folder / f"fold_{fold}" / "checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without instructions for bfloat16."""
    _say_of_bf16(monkeypatch, False)


@pytest.fixture
def with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any processor: without the instructions the arithmetic is the same, but slow."""
    _say_of_bf16(monkeypatch, True)


def _say_of_bf16(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    import torch  # not above: the number of threads is set first

    if hasattr(torch.cpu, "get_capabilities"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": answer})
    else:
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda: answer)

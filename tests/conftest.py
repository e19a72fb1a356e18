"""What every test runs under."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

# Before torch, numba or matplotlib are imported. The networks here are tiny: a second thread brings
# little, and on a busy machine threads wait for each other by spinning (measured: five times the
# processor time). Tests that are about threads ask for theirs. Figures are written, never shown.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

WINDOW_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "qapp", "qtbot"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that open a window, so that they can be left out where none can open."""
    for item in items:
        if WINDOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("window")


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

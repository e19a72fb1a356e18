"""Downloads from a real server on this computer that behaves as servers and networks do."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from napari_swin_umamba.checkpoints import fetch_weights, import_weights, vmamba
from napari_swin_umamba.checkpoints.download import Patience, Progress, download
from napari_swin_umamba.checkpoints.weights import PUBLISHED
from napari_swin_umamba.errors import Cancelled, DownloadError, InputError

BODY = os.urandom(300_000)
"""Stands in for the weights: how they come does not depend on what they are."""
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(connect=2, stall=0.3, slowest=100_000, pauses=(0.01, 0.01))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web) -> Path:
    """An empty cache folder, a server as mirror, and BODY as the published file."""
    monkeypatch.setenv("SWIN_UMAMBA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", web.url)
    stand_in = replace(PUBLISHED["imagenet"], size=len(BODY), sha256=SHA256)
    monkeypatch.setitem(PUBLISHED, "imagenet", stand_in)
    return tmp_path / "cache" / "weights"


def fetch(**options: object):
    return fetch_weights(**({"patience": QUICK} | options))


def files(cache: Path) -> list[str]:
    """What lies in the folder, but for the lock."""
    return sorted(file.name for file in cache.glob("*") if file.suffix != ".lock")


def answer(
    body: bytes = BODY,
    length: int | None = len(BODY),
    status: int = 200,
    then: Callable[[object], None] | None = None,
) -> Callable[[object], None]:
    def send(handler) -> None:
        handler.send_response(status)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
        if then is not None:
            then(handler)

    return send


def reset(handler) -> None:
    """Break the connection, as a router does that is switched off and on."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def test_first_use_downloads_and_later_ones_do_not(web, cache: Path) -> None:
    web.answers = [answer()]
    heard: list[Progress] = []

    local = fetch(on_progress=heard.append)

    assert local.path == cache / "vssmtiny_dp01_ckpt_epoch_292.pth"
    assert local.path.read_bytes() == BODY
    assert local.verified
    assert [p.done for p in heard] == sorted(p.done for p in heard)
    assert heard[-1] == Progress(len(BODY), len(BODY))
    assert fetch().path == local.path
    assert web.paths == ["/vssmtiny_dp01_ckpt_epoch_292.pth"]
    assert files(cache) == [local.path.name]


def test_a_mirror_may_name_the_file_itself(web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.answers = [answer()]
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", web.url + "other-name.bin")
    assert fetch().path.name == "vssmtiny_dp01_ckpt_epoch_292.pth"
    assert web.paths == ["/other-name.bin"]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(answer(BODY[:1000]), id="truncated"),
        pytest.param(answer(BODY[:1000], length=None), id="truncated, of unknown length"),
        pytest.param(answer(BODY[:1000], then=reset), id="connection reset"),
        pytest.param(reset, id="reset before the answer"),
        pytest.param(answer(b"", 0, status=503), id="busy"),
    ],
)
def test_what_may_pass_is_tried_again(failure, web, cache: Path) -> None:
    web.answers = [failure, answer()]
    heard: list[Progress] = []
    assert fetch(on_progress=heard.append).path.read_bytes() == BODY
    assert len(web.paths) == 2
    assert sum("trying again" in p.note for p in heard) == 1

    shutil.rmtree(cache)
    web.answers = [failure]
    with pytest.raises(DownloadError, match=r"\(3 tries\)"):
        fetch()
    assert len(web.paths) == 2 + 3
    assert files(cache) == []


def test_a_silent_server_is_given_up(web, cache: Path) -> None:
    web.answers = [answer(BODY[:1000], then=lambda _: web.wait())]
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=r"silent for 0.3 s \(3 tries\)"):
        fetch()
    assert 0.9 < time.monotonic() - begin < 10
    assert files(cache) == []


def test_a_server_that_sends_byte_by_byte_is_given_up(web, cache: Path) -> None:
    def trickle(handler) -> None:
        while not web.ended.wait(0.02):
            handler.wfile.write(b"x")

    web.answers = [answer(b"", then=trickle)]
    with pytest.raises(DownloadError, match=r"only \d+ bytes came"):
        fetch(patience=replace(QUICK, pauses=()))
    assert files(cache) == []


def test_a_slow_server_that_goes_on_is_waited_for(web) -> None:
    def slowly(handler) -> None:
        for start in range(0, len(BODY), 30_000):  # 0.5 s, and never silent
            time.sleep(0.05)
            handler.wfile.write(BODY[start : start + 30_000])

    web.answers = [answer(b"", then=slowly)]
    assert fetch(patience=replace(QUICK, pauses=())).verified


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param(answer(b"", 0, status=404), "answers 404 Not Found", id="gone"),
        pytest.param(answer(b"<html>", 6), r"another file \(6 bytes.*login page", id="login page"),
        pytest.param(answer(BODY + b"x", len(BODY) + 1), "another file", id="one byte more"),
        pytest.param(answer(BODY + b"x", None), "another file", id="more, of unknown length"),
        pytest.param(answer(BODY[::-1]), r"another file came \(its SHA-256 is", id="other bytes"),
    ],
)
def test_what_will_not_pass_ends_at_once(wrong, message: str, web, cache: Path) -> None:
    web.answers = [wrong]
    with pytest.raises(DownloadError, match=message):
        fetch()
    assert len(web.paths) == 1
    assert files(cache) == []


def test_without_a_server_the_message_says_where_to_put_the_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/w.pth"
        monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", url)
        with pytest.raises(DownloadError) as caught:
            fetch()
    message = str(caught.value)
    path = cache / "vssmtiny_dp01_ckpt_epoch_292.pth"
    for part in (url, PUBLISHED["imagenet"].published_url, str(path), "--from FILE", "refused"):
        assert part in message
    assert "\n" not in message

    path.write_bytes(BODY)  # by hand
    assert fetch().verified


def test_a_name_that_nobody_knows_asks_for_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", "http://nowhere.invalid/")
    with pytest.raises(DownloadError, match="is there an internet connection"):
        fetch()


def test_redirects_are_followed_as_the_published_address_needs(web) -> None:
    def elsewhere(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", web.url + "elsewhere?token=1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.answers = [elsewhere, answer()]
    assert fetch().verified
    assert web.paths[1] == "/elsewhere?token=1"


def test_a_connection_that_cannot_be_trusted_ends_at_once(
    web, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", web.url.replace("http:", "https:"))
    web.answers = [answer()]
    with pytest.raises(DownloadError, match=r"cannot be trusted: (?!.*tries)"):
        fetch()
    assert files(cache) == []


@pytest.mark.parametrize("mirror", ["ftp://host/w.pth", "w.pth", "http:///w.pth", "http://[/"])
def test_a_mirror_that_is_none(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", mirror)
    with pytest.raises(InputError, match="SWIN_UMAMBA_WEIGHTS_URL must begin with http"):
        fetch()


def test_the_file_in_the_cache_is_checked_at_every_use(web, cache: Path) -> None:
    web.answers = [answer()]
    path = fetch().path
    path.write_bytes(BODY[:-1])
    with pytest.raises(InputError, match=r"vssmtiny.*damaged.*delete it to download"):
        fetch()
    path.unlink()
    assert fetch().verified


def test_a_folder_in_the_place_of_the_file(cache: Path) -> None:
    (cache / "vssmtiny_dp01_ckpt_epoch_292.pth").mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot read .*292\.pth: "):
        fetch()


def test_a_cache_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWIN_UMAMBA_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="SWIN_UMAMBA_CACHE"):
        fetch()


def test_a_disk_without_room_is_seen_before(monkeypatch: pytest.MonkeyPatch, web) -> None:
    monkeypatch.setitem(PUBLISHED, "imagenet", replace(PUBLISHED["imagenet"], size=10**18))
    with pytest.raises(InputError, match=r"no room.*are free.*SWIN_UMAMBA_CACHE"):
        fetch()
    assert web.paths == []


def test_stopping_leaves_nothing(web, cache: Path) -> None:
    web.answers = [answer(BODY[:100_000], then=lambda _: web.wait())]
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        fetch(on_progress=seen.append, should_stop=lambda: len(seen) > 1)
    assert files(cache) == []


def test_stopping_during_a_pause(web, cache: Path) -> None:
    web.answers = [answer(b"", 0, status=503)]
    notes: list[str] = []
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        fetch(
            patience=replace(QUICK, pauses=(60,)),
            on_progress=lambda p: notes.append(p.note),
            should_stop=lambda: any("trying again" in note for note in notes),
        )
    assert time.monotonic() - begin < 10
    assert files(cache) == []


def test_leftovers_of_a_killed_process_are_removed(web, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / ".vssmtiny_dp01_ckpt_epoch_292.0a1b2c3d.part.pth").write_bytes(b"part")
    (cache / "mine.pth").write_bytes(b"mine")
    web.answers = [answer()]
    fetch()
    assert files(cache) == ["mine.pth", "vssmtiny_dp01_ckpt_epoch_292.pth"]


FETCH = """
import sys
from dataclasses import replace
from napari_swin_umamba.checkpoints import fetch_weights
from napari_swin_umamba.checkpoints.weights import PUBLISHED

size, sha256 = int(sys.argv[1]), sys.argv[2]
PUBLISHED["imagenet"] = replace(PUBLISHED["imagenet"], size=size, sha256=sha256)
notes = []
local = fetch_weights(on_progress=lambda progress: notes.append(progress.note))
print(local.verified, any("another process" in note for note in notes))
"""


def test_two_processes_download_once(web, cache: Path) -> None:
    """The first is held up until the second has said that it waits for it."""
    begun: list[subprocess.Popen[str]] = []

    def start() -> None:
        command = [sys.executable, "-c", FETCH, str(len(BODY)), SHA256]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

    def hold(handler) -> None:
        start()
        web.wait(1.5)
        handler.wfile.write(BODY[1000:])

    web.answers = [answer(BODY[:1000], then=hold), answer()]
    start()
    outputs = []
    while len(outputs) < 2:
        assert web.asked.wait(60)
        outputs.append(begun[len(outputs)].communicate(timeout=60)[0].split())
    assert len(web.paths) == 1
    assert outputs[0] == ["True", "False"]
    assert outputs[1][0] == "True"
    assert files(cache) == ["vssmtiny_dp01_ckpt_epoch_292.pth"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent another way there")
def test_ctrl_c_leaves_nothing_and_says_so(web, cache: Path) -> None:
    published = 91_649_482
    web.answers = [answer(b"x" * 100_000, published, then=lambda _: web.wait())]
    command = [sys.executable, "-m", "swin_umamba_training", "weights", "fetch"]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert web.asked.wait(60)
    deadline = time.monotonic() + 30
    while not any(".part" in name for name in files(cache)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (1, "", "error: interrupted\n")
    assert files(cache) == []


def test_a_file_from_elsewhere_is_copied_once_checked(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "from a stick.bin"
    file.write_bytes(BODY)
    local = import_weights(file)
    assert local.verified
    assert local.path.read_bytes() == BODY
    assert import_weights(local.path).path == local.path  # it is there already

    file.write_bytes(BODY[:-1])
    with pytest.raises(InputError, match="from a stick.bin is damaged"):
        import_weights(file)
    assert local.path.read_bytes() == BODY
    with pytest.raises(InputError, match=r"no such file.*--from"):
        import_weights(tmp_path / "none")
    assert files(cache) == [local.path.name]


def test_a_file_of_the_same_tensors_goes_ahead_only_if_accepted(
    web, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vmamba, "DIMS", (4, 8, 16, 32))  # the real ones: tests/training
    vmamba_file = tmp_path / "vmamba.pth"
    tensors = {name: torch.ones(shape) for name, shape in vmamba.tiny_layout().items()}
    torch.save({"model": tensors}, vmamba_file)
    body = vmamba_file.read_bytes()
    # A file saved again: the same tensors, a few bytes more or less.
    monkeypatch.setitem(PUBLISHED, "imagenet", replace(PUBLISHED["imagenet"], size=len(body) - 100))
    digest = hashlib.sha256(body).hexdigest()
    web.answers = [answer(body, len(body))]
    with pytest.raises(DownloadError, match="another file"):
        fetch()
    local = fetch(accept_hash=True)
    assert (local.sha256, local.verified) == (digest, False)
    with pytest.raises(InputError, match=f"{digest}, not {SHA256}; delete it.*--accept-hash"):
        fetch()
    assert fetch(accept_hash=True) == local

    shutil.rmtree(cache)
    monkeypatch.setitem(PUBLISHED, "imagenet", replace(PUBLISHED["imagenet"], size=len(body)))
    with pytest.raises(DownloadError, match=f"same tensors.*{digest}.*--accept-hash"):
        fetch()
    with pytest.raises(InputError, match=r"vmamba\.pth has the tensors.*--accept-hash"):
        import_weights(vmamba_file)
    assert files(cache) == []
    assert import_weights(vmamba_file, accept_hash=True).sha256 == digest


def test_accepting_another_hash_accepts_no_other_tensors(web, cache: Path) -> None:
    web.answers = [answer(BODY[::-1]), answer(BODY[:1000], None), answer(BODY * 3, None)]
    for reason in ("damaged, or no file of PyTorch", "damaged, or no file", "another file"):
        with pytest.raises(DownloadError, match=reason):
            fetch(accept_hash=True)
    assert files(cache) == []


def test_errors_of_the_disk_are_not_taken_for_the_networks(web, tmp_path: Path) -> None:
    web.answers = [answer()]
    with pytest.raises(IsADirectoryError):
        download(web.url, tmp_path, size=len(BODY), patience=QUICK)
    assert web.paths == []


def test_whoever_holds_the_lock_and_does_nothing_is_not_waited_for_forever(
    web, cache: Path
) -> None:
    """A process that was suspended, say; what it has so far is left to it."""
    cache.mkdir(parents=True)
    name = "vssmtiny_dp01_ckpt_epoch_292"
    (cache / f".{name}.0a1b2c3d.part.pth").write_bytes(b"part")
    web.answers = [answer()]
    notes: list[str] = []
    with FileLock(cache / f"{name}.pth.lock"):
        assert fetch(on_progress=lambda p: notes.append(p.note)).verified
    assert sum("another process" in note for note in notes) == 1
    assert files(cache) == [f".{name}.0a1b2c3d.part.pth", f"{name}.pth"]


def test_stopping_while_another_process_downloads(web, cache: Path) -> None:
    cache.mkdir(parents=True)
    with (
        FileLock(cache / "vssmtiny_dp01_ckpt_epoch_292.pth.lock"),
        pytest.raises(Cancelled),
    ):
        fetch(should_stop=lambda: True, patience=Patience())
    assert web.paths == []


@pytest.mark.skipif(sys.platform == "win32", reason="locks are others there")
def test_where_locks_do_not_work_it_downloads_all_the_same(
    web, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network folders answer so."""
    import fcntl

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    web.answers = [answer()]
    assert fetch().path.read_bytes() == BODY
    assert files(cache) == ["vssmtiny_dp01_ckpt_epoch_292.pth"]

"""``swin-umamba weights`` and ``train --init imagenet``, with a file of the real layout."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from napari_swin_umamba.checkpoints import read_model_header
from napari_swin_umamba.checkpoints.weights import PUBLISHED
from swin_umamba_training.cli import app
from swin_umamba_training.config import make_config
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.start import prepare_start

FILE = "vssmtiny_dp01_ckpt_epoch_292.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web) -> Path:
    monkeypatch.setenv("SWIN_UMAMBA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SWIN_UMAMBA_WEIGHTS_URL", web.url)
    return tmp_path / "cache" / "weights"


def call(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def error_line(*arguments: object, code: int) -> str:
    result = call(*arguments, code=code)
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


def send(body: bytes):
    def answer(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def gone(handler) -> None:
    handler.send_error(404)


def test_list_says_what_there_is_and_where(cache: Path, web) -> None:
    text = call("weights", "list").stdout
    published = PUBLISHED["imagenet"]
    for part in (
        *("imagenet", "VMamba-T v0", "91,649,482 bytes", published.sha256, "not downloaded"),
        *("MIT", str(cache / FILE), web.url + FILE),
    ):
        assert part in text

    (entry,) = json.loads(call("weights", "list", "--json").stdout)
    assert (entry["state"], entry["found_sha256"], entry["size"]) == (
        *("not downloaded", None),
        91_649_482,
    )
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(b"mine")
    (entry,) = json.loads(call("weights", "list", "--json").stdout)
    assert entry["state"] == "another file"
    assert entry["found_sha256"] == hashlib.sha256(b"mine").hexdigest()
    assert entry["found_sha256"] in call("weights", "list").stdout


def test_fetch_ends_with_1_if_the_download_fails(web, cache: Path) -> None:
    web.answers = [gone]
    line = error_line("weights", "fetch", code=1)
    assert re.search(rf"{FILE}: the server answers 404 Not Found\. .*--from FILE", line)
    assert str(cache / FILE) in line


def test_fetch_ends_with_2_if_what_was_given_is_wrong(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("text")
    assert "unknown weights 'resnet'" in error_line("weights", "fetch", "resnet", code=2)
    assert "--from" in error_line("weights", "fetch", "--from", tmp_path / "none", code=2)
    assert "text.txt is damaged" in error_line(
        *("weights", "fetch", "--from", tmp_path / "text.txt"), code=2
    )
    cache.mkdir(parents=True, exist_ok=True)
    (cache / FILE).write_bytes(b"mine")
    assert "delete it" in error_line("weights", "fetch", code=2)
    assert (cache / FILE).read_bytes() == b"mine"


def test_train_refuses_before_it_downloads(make_dataset, tmp_path: Path, web) -> None:
    folder, run = make_dataset(), tmp_path / "run"
    options = ("train", folder, "-o", run, "--semantic")
    tiny = ("--init", "imagenet", "--arch", "swin-umamba-d-tiny")
    assert "--arch swin-umamba or swin-umamba-d" in error_line(*options, *tiny, code=2)
    assert "--accept-hash" in error_line(*options, "--accept-hash", code=2)
    assert web.paths == []

    web.answers = [gone]
    assert "404" in error_line(*options, "--init", "imagenet", code=1)
    assert not run.exists()


def test_a_start_holds_the_weights_and_where_they_come_from(
    make_dataset, tmp_path: Path, vmamba_file: Path, web, cache: Path
) -> None:
    folder = make_dataset(images=2, channels=3)
    cache.mkdir(parents=True)
    (cache / FILE).symlink_to(vmamba_file)
    config = make_config(
        dataset=folder, run=tmp_path / "run", init="imagenet", accept_hash=True, patch=(32, 32)
    )

    start = prepare_start(scan_dataset(folder, instances=False), config)

    assert start.plan.architecture == "swin-umamba-d"
    tensors = torch.load(vmamba_file, weights_only=True)["model"]
    own = start.network.state_dict()
    for name in ("patch_embed.proj.weight", "layers.3.blocks.1.self_attention.A_logs"):
        assert torch.equal(own[f"vssm_encoder.{name}"], tensors[name])
    assert start.origin["name"] == "imagenet"
    assert start.origin["loaded"] == 208
    assert start.origin["adapted"] == {}
    assert start.origin["skipped"].keys() == {
        *("norm.weight", "norm.bias", "head.weight", "head.bias"),
    }
    assert start.origin["drawn"] == len(own) - 208
    assert json.dumps(start.origin)
    assert web.paths == []


@pytest.mark.slow
def test_train_starts_from_imagenet_weights(
    make_dataset, tmp_path: Path, vmamba_file: Path, web, cache: Path
) -> None:
    folder, run = make_dataset(images=2), tmp_path / "run"
    options = ("train", folder, "-o", run, "--semantic", "--init", "imagenet", "--accept-hash")
    short = ("--patch", 32, "--batch", 1, "--steps", 1, "--val-fraction", 0, "--json")
    body = vmamba_file.read_bytes()
    web.answers = [send(body)]

    events = [json.loads(line) for line in call(*options, *short).stdout.splitlines()]

    downloads = [event for event in events if event["event"] == "download"]
    assert (downloads[-1]["done"], downloads[-1]["total"]) == (len(body), len(body))
    start = next(event for event in events if event["event"] == "start")
    assert start["arch"] == "swin-umamba-d"
    assert any("207 loaded, 1 adapted" in note for note in start["notes"])
    assert any("the sum of the filters" in note for note in start["notes"])
    assert any("not the published file" in note for note in start["notes"])
    _, _, info = read_model_header(run / "model.safetensors")
    origin = info.training["init_weights"]
    digest = hashlib.sha256(body).hexdigest()
    assert (origin["sha256"], origin["verified"], origin["licence"]) == (digest, False, "MIT")
    assert list(origin["adapted"]) == ["vssm_encoder.patch_embed.proj.weight"]
    assert info.training["learning_rate"] == 1e-4

    # It is here now, and accepted each time anew.
    fetched = json.loads(call("weights", "fetch", "--accept-hash", "--json").stdout)
    assert fetched == {
        "name": "imagenet",
        "path": str(cache / FILE),
        "sha256": digest,
        "verified": False,
    }
    assert digest in error_line(*options[:-1], *short, "--overwrite", code=2)
    assert len(web.paths) == 1
    assert (run / "model.safetensors").exists()

"""Where gpu.py ran, and its figures as a table."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch


def environment() -> dict[str, str]:
    """Machine and versions."""
    found = {
        "gpu": torch.cuda.get_device_name(),
        "cuda": str(torch.version.cuda),
        "python": platform.python_version(),
        "command": " ".join(["python", *sys.argv]),
    }
    for package in ("torch", "triton", "monai", "mamba-ssm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def markdown(report: dict[str, Any]) -> str:
    """All figures as one table."""
    lines = [", ".join(f"{k} {v}" for k, v in report["environment"].items()), ""]
    lines += [f"{k}: {v}" for k, v in report["notes"].items()]
    lines += ["", "| what | candidate | median ms | min ms | images/s | working GB | peak GB |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for what, rows in report["rows"].items():
        for name, row in rows.items():
            if "failed" in row:
                lines.append(f"| {what} | {name} | {row['failed']} | | | | |")
                continue
            rate = f"{row['images_per_s']:.1f}" if "images_per_s" in row else ""
            figures = f"{row['median_ms']:.3f} | {row['min_ms']:.3f} | {rate}"
            memory = f"{row['working_gb']:.3f} | {row['peak_gb']:.3f}"
            lines.append(f"| {what} | {name} | {figures} | {memory} |")
    return "\n".join(lines) + "\n"

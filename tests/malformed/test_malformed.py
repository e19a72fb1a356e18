"""Damaged and malicious files: a clear error in 10 s and 2 GB each, no crash, no code run."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .child import LIMIT
from .generator import COUNT, Case, make_cases

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory cannot be limited elsewhere"
)

SECONDS = 10
START = 120
CHILD = Path(__file__).with_name("child.py")


class Child:
    """A process that reads files; it may die of one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answered = True
        self._lines: queue.Queue[str] = queue.Queue()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()
        assert self._next(START) == "ready"

    def ask(self, case: Case) -> tuple[str, str, float, int]:
        """Outcome, message, seconds, and the most memory so far in bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(case.path), case.is_model]) + "\n")
        self._process.stdin.flush()
        answer = self._next(3 * SECONDS)
        if answer is None:
            code = self._process.poll()
            self._process.kill()
            self._answered = False
            what = "hung" if code is None else f"died with {code}"
            return what, "", 0.0, 0
        outcome, message, seconds, memory = answer
        return outcome, message, seconds, memory

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and self._answered

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._collector.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _next(self, seconds: float) -> Any:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        return json.loads(line) if line else None


def problems(cases: Iterator[Case]) -> Iterator[str]:
    """Say what is not as it should be."""
    child = Child()
    try:
        for case in cases:
            if not child.alive:
                child.close()
                child = Child()
            outcome, message, seconds, memory = child.ask(case)
            name = case.path.name
            if outcome == "read" and not case.must_fail:
                pass
            elif outcome != "refused":
                yield f"{case.what}: {outcome} {message}"
            elif "\n" in message or len(message) > 900 or name not in message:
                yield f"{case.what}: no clear message: {message!r}"
            if seconds > SECONDS:
                yield f"{case.what}: took {seconds:.0f} s"
            if memory > LIMIT:
                yield f"{case.what}: took {memory / 2**30:.1f} GB"
                child.close()
                child = Child()
    finally:
        child.close()


def check(folder: Path, every: int) -> None:
    cases = list(make_cases(folder, every))
    assert len(cases) == COUNT // every
    found = list(problems(iter(cases)))
    assert not found, "\n".join(found)
    assert not (folder / "code_was_run").exists()


def test_a_tenth(tmp_path: Path) -> None:
    check(tmp_path, every=10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all(tmp_path: Path) -> None:
    check(tmp_path, every=1)
    # The traps are real: loading one leaves its trace.
    import pickle

    poison = next(tmp_path.rglob("a.pkl"))
    pickle.loads(poison.read_bytes())["network_weights"].close()
    assert (tmp_path / "code_was_run").exists()

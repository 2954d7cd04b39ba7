"""docs/reading.md is true: its cells print what is shown, its service answers."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping, Tuple

import pytest

from tests.cli.test_read import model, word_png  # noqa: F401  a fixture
from tests.conftest import ROOT
from tests.test_library import SHOWN

PAGE = ROOT / "docs" / "reading.md"
CELLS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
PATIENCE = 60


@pytest.fixture(scope="module")
def folder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    place = tmp_path_factory.mktemp("page")
    shutil.copy(model, place / "crnn.onnx")
    (place / "word.png").write_bytes(word_png("tree"))
    return place


def started(code: str, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=str(place),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_cell_prints_what_is_shown(folder: Path) -> None:
    cell, _ = CELLS
    with started(cell, folder) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    first, several, turned, again, sure, error = SHOWN.findall(cell)
    # What is in the loop is printed twice.
    assert out.splitlines() == [first, several, turned, again, sure, again, sure, error]


def test_the_service_answers(folder: Path) -> None:
    _, cell = CELLS
    assert len(cell.splitlines()) <= 27
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(cell.replace("8000", str(port)), folder) as process:
        try:
            code, answer = asked(port, (folder / "word.png").read_bytes())
            assert (code, answer["text"]) == (200, "tree")
            assert 0.5 < answer["confidence"] <= 1
            code, answer = asked(port, b"nothing")
            assert (code, list(answer)) == (400, ["error"])
            assert "not an image" in answer["error"]
            # It does not read until the client has no more to say.
            code, _ = asked(port, b"nothing", {"Content-Length": "-1"})
            assert code == 400
        finally:
            process.kill()


def asked(
    port: int, data: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> Tuple[int, Any]:
    """Ask a service that may have yet to begin."""
    end = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("POST", "/", data, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
        finally:
            connection.close()

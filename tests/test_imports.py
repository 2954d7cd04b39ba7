"""What is imported when: nothing heavy before it is needed, and the box slice with NumPy alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import List, Set

import pytest

from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model

HEAVY = {
    "torch",
    "onnx",
    "onnxruntime",
    "cv2",
    "PIL",
    "lmdb",
    "scipy",
    "matplotlib",
    "rich",
    "yaml",
    "numpy",
}

# Runs a script with every import refused that is neither the standard library's, NumPy's nor the
# kit's.
ONLY_NUMPY = """
import runpy, sys
ALLOWED = set(sys.stdlib_module_names) | {"numpy", "crnn", "acl", "acl_net", "__main__"}
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED:
            raise ImportError("the box slice must not import " + name)
sys.meta_path.insert(0, Wall())
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported_by(*words: str) -> Set[str]:
    report = (
        "import sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    code = (
        f"import runpy, sys\nsys.argv = {list(words)!r}\ntry:\n runpy.run_path(sys.argv[0],"
        " run_name='__main__')\n"
    )
    code += f"except SystemExit: pass\nprint()\n{report}"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=str(ROOT)
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


SCRIPTS = ["post_CRNN_pytorch_acl.py", "parse_testdata.py", "pth2onnx.py", "get_info.py"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_of_a_script_imports_nothing_heavy(script: str) -> None:
    assert not imported_by(str(ROOT / script), "--help") & HEAVY


def test_help_of_crnn_imports_nothing_heavy() -> None:
    assert not imported_by(str(ROOT / "crnn" / "__main__.py"), "--help") & HEAVY


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import crnn, sys; print(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=str(ROOT)
    )
    assert not {name.split(".")[0] for name in run.stdout.split()} & HEAVY


def run_walled(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ONLY_NUMPY, str(ROOT / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="the list of the standard library's modules came with 3.10"
)
def test_an_om_evaluation_needs_numpy_alone(tmp_path: Path) -> None:
    # No CANN here: the way to the binding is free of other packages, and ends where pyacl is
    # missing.
    bins = write_bins(tmp_path, ["a", "b"])
    om = tmp_path / "m.om"
    om.write_bytes(b"IMOD" + bytes(300))
    words: List[str] = [
        "--pre_dir",
        str(bins),
        "--modelpath",
        str(om),
        "--label",
        str(tmp_path / "label.txt"),
    ]
    run = run_walled("post_CRNN_pytorch_acl.py", *words, "--json_output_file", str(tmp_path / "r"))
    assert "the box slice must not import" not in run.stderr
    assert run.returncode in (1, 4), run.stderr


@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="the list of the standard library's modules came with 3.10"
)
def test_get_info_needs_no_package(tmp_path: Path) -> None:
    bins = write_bins(tmp_path, ["a", "b"])
    run = run_walled("get_info.py", "bin", str(bins), str(tmp_path / "o.info"), "100", "32")
    assert run.returncode == 0, run.stderr


WITHOUT = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ImportError("No module named " + name)
sys.meta_path.insert(0, Wall())
from crnn.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("torch", ["export", "examples/crnn_small.pth", "OUT"]),
        ("torch", ["evaluate", "examples/crnn_small.pth", "examples/words_lmdb"]),
        ("torch", ["inspect", "examples/crnn_small.pth"]),
        ("lmdb", ["prepare", "examples/words_lmdb", "OUT", "--label", "OUT.txt"]),
        ("onnxruntime", ["evaluate", "MODEL", "examples/words_lmdb"]),
        ("onnx", ["inspect", "MODEL"]),
        ("acl", ["doctor", "--ascend"]),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, package: str, words: List[str]
) -> None:
    write_echo_model(tmp_path / "m.onnx")
    words = [
        word.replace("OUT", str(tmp_path / "out")).replace("MODEL", str(tmp_path / "m.onnx"))
        for word in words
    ]
    command = [sys.executable, "-c", WITHOUT, package, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=str(ROOT))
    assert run.returncode == 4, run.stderr
    assert "Traceback" not in run.stderr
    assert package in run.stderr + run.stdout
    assert not list(tmp_path.glob("out*"))

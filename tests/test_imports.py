"""What is imported when: nothing heavy before it is needed, and the box slice with NumPy alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Set

import onnx
import pytest
from PIL import Image

from crnn.cli.main import main
from tests.conftest import ROOT
from tests.lstm_models import lstm_model
from tests.models import write_bins, write_echo_model, write_images

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


SCRIPTS = [
    "post_CRNN_pytorch_acl.py",
    "postpossess_CRNN_pytorch.py",
    "parse_testdata.py",
    "pth2onnx.py",
    "get_info.py",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_of_a_script_imports_nothing_heavy(script: str) -> None:
    assert not imported_by(str(ROOT / script), "--help") & HEAVY


def test_crnn_read_does_without_the_onnx_package(tmp_path: Path) -> None:
    # Importing it takes longer than reading an image. What is imported later shares its messages.
    onnx.save(lstm_model(), str(tmp_path / "m.onnx"))
    Image.new("L", (100, 32), 255).save(tmp_path / "word.png")
    code = (
        "import sys\nfrom crnn.cli.main import main\n"
        "assert main(['read', 'm.onnx', 'word.png']) == 0\n"
        "assert 'onnx.onnx_ml_pb2' in sys.modules and 'onnx' not in sys.modules\n"
        "import onnx\n"
        "assert onnx.ModelProto is sys.modules['onnx.onnx_ml_pb2'].ModelProto\n"
        "onnx.checker.check_model(onnx.load('m.onnx'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=str(tmp_path))


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


BOX = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="the list of the standard library's modules came with 3.10"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OM that the simulator compiled, with its sidecar."""
    folder = tmp_path_factory.mktemp("compiled")
    onnx.save(lstm_model(), str(folder / "m.onnx"))
    simulated("-m", "crnn", "compile", str(folder / "m.onnx"), str(folder / "m"), folder=folder)
    assert (folder / "m.om.json").is_file()
    return folder / "m.om"


def simulated(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python under the simulator in timing-only mode and demand success.

    A rule of pyACL that the program broke, or a leak, is a failure too.
    """
    launcher = [sys.executable, "-m", "crnn.simulator", "--timing-only", "--"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [*launcher, sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=str(folder),
        env=environ,
    )
    assert run.returncode == 0, run.stderr
    return run


@BOX
def test_an_om_evaluation_needs_numpy_alone(compiled: Path, tmp_path: Path) -> None:
    texts = ["a", "b", "cat"]
    bins = write_bins(tmp_path, texts)
    result = tmp_path / "result.json"
    words = ["--pre_dir", str(bins), "--label", str(tmp_path / "label.txt")]
    words += ["--modelpath", str(compiled), "--json_output_file", str(result)]
    script = str(ROOT / "post_CRNN_pytorch_acl.py")
    simulated("-c", ONLY_NUMPY, script, *words, folder=tmp_path)
    data = json.loads(result.read_text(encoding="utf-8"))
    assert data["schema"] == "crnn-evaluation/2"
    assert data["total"] == len(texts)
    assert data["skipped"] == {}
    assert data["backend"] == "pyacl"
    assert data["simulated"] is True


@BOX
@pytest.mark.parametrize(
    "options",
    [
        ["--lexicon", "words.txt"],
        ["--lexicon", "words.txt", "--lexicon-method", "beam"],
        ["--lexicon", "words.txt", "--lexicon-method", "paper"],
        ["--pattern", "[a-z]{2}[0-9]{4}"],
        ["--allow", "0-9"],
    ],
)
def test_what_may_be_read_needs_numpy_alone(
    compiled: Path, tmp_path: Path, options: List[str]
) -> None:
    bins = write_bins(tmp_path, ["a", "b", "cat"])
    (tmp_path / "words.txt").write_text("dog\ncat\n")
    words = ["--pre_dir", str(bins), "--label", str(tmp_path / "label.txt")]
    words += ["--modelpath", str(compiled), "--readings", str(tmp_path / "r.jsonl")]
    words += ["--json_output_file", str(tmp_path / "r.json"), "--alternatives", "2", *options]
    script = str(ROOT / "post_CRNN_pytorch_acl.py")
    simulated("-c", ONLY_NUMPY, script, *words, folder=tmp_path)
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert len(texts) == 3
    if "--lexicon" in options:
        assert set(texts) <= {"cat", "dog"}


@BOX
def test_bins_of_several_views_need_numpy_alone(compiled: Path, tmp_path: Path) -> None:
    words = write_images(tmp_path / "words", ["a", "b", "cat"])
    bins, label = str(tmp_path / "bins"), str(tmp_path / "label.txt")
    assert main(["prepare", str(words), bins, "--label", label, "--views", "3"]) == 0
    command = ["--pre_dir", bins, "--label", label, "--modelpath", str(compiled)]
    script = str(ROOT / "post_CRNN_pytorch_acl.py")
    for asked in ([], ["--views", "rot-3"]):
        result = ["--json_output_file", str(tmp_path / "r.json"), *asked]
        simulated("-c", ONLY_NUMPY, script, *command, *result, folder=tmp_path)
        data = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        assert (data["total"], data["skipped"]) == (3, {})
        assert set(data["views"]["kept"]) <= {"near1", "rot+3", "rot-3"}
        assert data["views"]["agree"]["words"] + data["views"]["disagree"]["words"] == 3


DOCTOR = """
import sys
sys.path.insert(0, sys.argv[2])
from crnn.cli.main import main

print(main(["doctor", sys.argv[1], "--run"]))
"""


@BOX
def test_reading_the_built_in_pictures_again_needs_numpy_alone(
    compiled: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(DOCTOR, encoding="utf-8")
    run = simulated("-c", ONLY_NUMPY, str(program), str(compiled), str(ROOT), folder=tmp_path)
    # Only timed, the stand-in computes nothing: its texts are not the ONNX's.
    assert "of 16 built-in pictures read as the ONNX" in " ".join(run.stdout.split())
    assert run.stdout.splitlines()[-1] == "3"


@BOX
def test_the_net_of_older_scripts_needs_numpy_alone(compiled: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(NET, encoding="utf-8")
    run = simulated("-c", ONLY_NUMPY, str(program), str(compiled), str(ROOT), folder=tmp_path)
    assert run.stdout.splitlines()[-1] == "(26, 1, 37) float32"


NET = """
import sys
sys.path.insert(0, sys.argv[2])
import acl
import numpy as np
from acl_net import Net

assert acl.init() == 0
assert acl.rt.set_device(0) == 0
context, error = acl.rt.create_context(0)
assert error == 0
net = Net(context, model_path=sys.argv[1], device_id=0)
(logits,) = net(np.zeros((1, 1, 32, 100), dtype=np.float32))
del net
assert acl.rt.destroy_context(context) == 0
assert acl.rt.reset_device(0) == 0
assert acl.finalize() == 0
print(logits.shape, logits.dtype)
"""


@BOX
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
from crnn.cli.main import main
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


NEED_NO_TORCH = [
    "crnn.export",
    "crnn.compile.to_om",
    "crnn.cli.verbs.export",
    "crnn.cli.verbs.compile",
]


@pytest.mark.parametrize("module", NEED_NO_TORCH)
def test_export_and_compile_import_without_torch(module: str) -> None:
    code = f"{WITHOUT.split('from crnn')[0]}import {module}"
    command = [sys.executable, "-c", code, "torch"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=str(ROOT))
    assert run.returncode == 0, run.stderr

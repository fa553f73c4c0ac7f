"""The built sdist and wheel install into a clean environment and work there."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of executables of a clean environment that has the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    binaries = folder / "bin"
    pip = [binaries / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    call(*pip, "torch==2.13.0", built[1], cwd=folder)
    return binaries


def test_wheel_and_sdist_hold_the_package(built: tuple[Path, Path]) -> None:
    import tarfile
    import zipfile

    with zipfile.ZipFile(built[1]) as wheel, tarfile.open(built[0]) as sdist:
        in_wheel = set(wheel.namelist())
        in_sdist = {name.partition("/src/")[2] for name in sdist.getnames() if "/src/" in name}
    sources = {
        str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*") if p.suffix in {".py", ".csv", ".typed"}
    }
    assert "carrousel/py.typed" in sources
    assert sources <= in_wheel
    assert sources <= in_sdist


def test_bare_installation_works(installed: Path, tmp_path: Path) -> None:
    script = """
import torch, carrousel
lstm = carrousel.LSTM(3, 5, cell="peephole_lstm")
output, (h, c) = lstm(torch.randn(7, 2, 3), lengths=[7, 0])
output.sum().backward()
assert lstm.weight_ch_l0.grad.shape == (15,)
print(carrousel.cells.get("gru").adjoint)
"""
    assert "da_n_R" in call(installed / "python", "-c", script, cwd=tmp_path)
    assert "peephole_lstm" in call(installed / "carrousel", "cells", cwd=tmp_path)
    assert "llvmlite" in call(installed / "python", "-m", "carrousel", "doctor", cwd=tmp_path)


def test_demo_without_matplotlib_names_the_extra(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([installed / "carrousel", "demo"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert 'pip install "carrousel[fit]"' in done.stderr
    assert "Traceback" not in done.stderr

"""What README, CONTRIBUTING and the examples say is run, line by line."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import carrousel

ROOT = Path(__file__).parent.parent


def blocks(document: str, info: str) -> list[str]:
    """The fenced code blocks of a document whose opening line is ```<info>."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{info}\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, body in found]


def run(script: str, *arguments: str) -> str:
    """Run a script in a process of its own, so that no registry of this one changes."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_readme_examples_run(number: int, tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(blocks("README.md", "python")[number], encoding="utf-8")
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", range(len(blocks("docs/pytorch.md", "python"))))
def test_recipes_inside_pytorch_run(number: int, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text(blocks("docs/pytorch.md", "python")[number], encoding="utf-8")
    done = subprocess.run([sys.executable, str(recipe)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_readme_lists_every_cell() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## The cells") : readme.index("`carrousel cells`")]
    assert set(re.findall(r"`(\w+)`", table)) >= set(carrousel.cells.names())


def test_recipe_for_a_cell(tmp_path: Path) -> None:
    (tmp_path / "minimal_gated.py").write_text(blocks("CONTRIBUTING.md", "python cell")[0], encoding="utf-8")
    script = """
import sys, torch, carrousel
carrousel.cells.__path__.append(sys.argv[1])
exec(sys.argv[2], vars(carrousel.cells))
layer = carrousel.Recurrent("minimal_gated", 3, 5, dtype=torch.float64)
assert torch.autograd.gradcheck(lambda x: layer(x)[0], torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True))
print(carrousel.cells.get("minimal_gated").adjoint)
"""
    assert "du_z" in run(script, str(tmp_path), blocks("CONTRIBUTING.md", "python registry")[0])


def test_recipe_for_a_function() -> None:
    script = """
import sys, torch
from carrousel import functions
exec(sys.argv[1], vars(functions))
a = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
(expected,) = torch.autograd.grad(functions.arctan(a).sum(), a)
(derived,) = functions.arctan.derivative(functions.arctan(a), a)
torch.testing.assert_close(derived, expected)
"""
    run(script, blocks("CONTRIBUTING.md", "python function")[0])


def test_recipe_for_a_backend(tmp_path: Path) -> None:
    module = """
from carrousel.backends import eager
from carrousel.backends.eager import source

def refusals(definition, x, traced):
    return [] if x.is_floating_point() else [f"tensors of {x.dtype}"]

def run(definition, x, *rest):
    print("logged", definition.name, tuple(x.shape))
    return eager.run(definition, x, *rest)
"""
    (tmp_path / "logged_backend.py").write_text(module, encoding="utf-8")
    script = """
import sys, torch, carrousel
from carrousel import backends
backends.__path__.append(sys.argv[1])
exec(sys.argv[2], vars(backends))
logged = carrousel.Recurrent("gru_2014", 3, 5, backend="logged")
plain = carrousel.Recurrent("gru_2014", 3, 5, backend="eager")
plain.load_state_dict(logged.state_dict())
x = torch.randn(4, 2, 3)
assert torch.equal(logged(x)[0], plain(x)[0])
assert carrousel.cells.get("gru").source("logged") == carrousel.cells.get("gru").source("eager")
"""
    assert "logged gru_2014 (4, 2, 3)" in run(script, str(tmp_path), blocks("CONTRIBUTING.md", "python backend")[0])


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    short = tmp_path / example.name
    short.write_text(re.sub(r"max_seconds=\d+", "max_seconds=1", example.read_text(encoding="utf-8")), encoding="utf-8")
    done = subprocess.run([sys.executable, str(short)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout

"""What may import what, what importing costs, and the house rules of files, read from every source file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "carrousel"
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = {
    ".".join(("carrousel", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}

#: Each part may import its own and what stands before it.
LAYERS = (
    ("errors", "functions", "processes", "writing"),
    ("calculus",),
    ("backends",),
    ("cell", "rewriting", "transforms"),
    ("cells",),
    ("nn",),
    ("tasks", "data", "exchange", "report"),
    ("datasets",),
    ("systems", "learn"),
    ("models",),
    ("experiments", "demo"),
    ("cli", "__main__"),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

#: library -> the only parts of the package that may import it.
ONLY = {
    "sympy": {"functions", "calculus"},
    "llvmlite": {"backends.llvm", "cli"},
    "matplotlib": {"demo", "report", "experiments"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "rich": {"cli", "demo", "experiments", "learn"},
    "pytorch_lightning": {"learn"},
    "sklearn": {"data", "datasets", "models"},
    "pandas": {"data", "datasets"},
    "polars": {"data"},
    "narwhals": {"data"},
    "pyarrow": {"data"},
    "soundfile": {"data"},
    "kaldi_native_fbank": {"data"},
    "optuna": {"models"},
    "onnx": {"exchange"},
    "onnx_ir": {"exchange"},
    "onnxruntime": {"exchange"},
    "onnxscript": {"exchange"},
}

every_file = pytest.mark.parametrize("module", MODULES)


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def only_for_types(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:` is never imported."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {node for block in blocks for node in ast.walk(block)}


def imported(module: str) -> set[str]:
    """The modules that a file imports anywhere, also inside functions."""
    tree, names = tree_of(module), set()
    hidden = only_for_types(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in hidden:
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node not in hidden:
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in inner if name in MODULES} or {node.module}
    return names


def part_of(module: str) -> str:
    """The part of the package that a module belongs to: `nn` for carrousel.nn.recurrent."""
    return module.split(".")[1]


def test_every_part_has_a_place() -> None:
    assert {part_of(module) for module in MODULES if module != "carrousel"} <= set(RANK)


@every_file
def test_imports_only_what_stands_before_it(module: str) -> None:
    if module == "carrousel":
        assert imported(module) - set(sys.stdlib_module_names) == {"carrousel.cell"}
        return
    rank = RANK[part_of(module)]
    for name in imported(module):
        if name.startswith("carrousel."):
            assert RANK[part_of(name)] <= rank, f"{module} imports {name}"


@every_file
def test_heavy_libraries_have_one_place(module: str) -> None:
    inside = module.removeprefix("carrousel.")
    for name in imported(module):
        allowed = ONLY.get(name.split(".")[0])
        assert allowed is None or any(inside == part or inside.startswith(f"{part}.") for part in allowed), name


@pytest.mark.parametrize(
    ("script", "absent"),
    [
        ("import carrousel", ("torch", "sympy", "matplotlib", "numpy", "llvmlite")),
        ("import carrousel; dir(carrousel)", ("torch", "sympy", "matplotlib", "numpy")),
        ("from carrousel import cells; cells.names()", ("torch", "sympy", "matplotlib", "numpy")),
        ("from carrousel import cells; str(cells.get('lstm'))", ("torch", "sympy", "matplotlib", "numpy")),
        ("import carrousel.nn", ("sympy", "matplotlib")),
        ("from carrousel import cells; cells.get('lstm').source('eager')", ("sympy", "matplotlib")),
    ],
)
def test_what_importing_costs(script: str, absent: tuple[str, ...]) -> None:
    check = f"{script}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- files


@every_file
def test_file_has_a_docstring_and_one_subject(module: str) -> None:
    path = MODULES[module]
    assert (ast.get_docstring(tree_of(module)) or "").splitlines()[0].rstrip(".:") != ""
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "base", "misc"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@every_file
def test_no_function_over_sixty_lines(module: str) -> None:
    """A function's docstring is not counted."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node
            assert node.end_lineno - start.lineno < 60, f"{module}.{node.name}"

"""Wrong definitions, imported from a file of their own as a newcomer's would be."""

import importlib.util
import re
from pathlib import Path

import pytest

from carrousel.errors import DefinitionError

#: What stands above each definition.
HEADER = """\
import functools
import math
from math import inf

import numpy as np
import torch
from torch import minimum

from carrousel import cell, functions
from carrousel.functions import clip, exp, log, maximum, mean, sigmoid, sqrt, tanh

rate = 0.5
huge = 10**30
flag = True
several = [1, 2]
tensor = torch.ones(3)
missing = math.nan
linear = torch.nn.Linear(2, 2)

"""


def import_text(text: str, folder: Path) -> None:
    """Write a definition to a file below the header, and import the file."""
    path = folder / "mistake.py"
    path.write_text(HEADER + text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mistake", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def message_of(text: str, folder: Path) -> tuple[int, str]:
    """The line that is marked with `# <-`, and the message that the definition is answered with."""
    with pytest.raises(DefinitionError) as caught:
        import_text(text, folder)
    before, _, _ = (HEADER + text).partition("# <-")
    return before.count("\n") + 1, str(caught.value)


def pinned(message: str, line: int) -> str:
    """The message as a test has it: `<line>` is the marked line, `<next>` the one below."""
    return re.sub(rf"\bline {line + 1}\b", "line <next>", re.sub(rf"\bline {line}\b", "line <line>", message))

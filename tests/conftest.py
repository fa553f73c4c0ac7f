"""One thread, the same random numbers in every test, NaN in memory that nobody wrote, a cache for tests."""

import os
import random

import numpy as np
import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-agreements", action="store_true", help="every combination of options, not a covering")
    parser.addoption("--huge", action="store_true", help="what takes many gigabytes of memory")
    parser.addoption("--random-cells", type=int, default=60, help="how many definitions are drawn and compiled")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["CARROUSEL_CACHE"] = str(config.rootpath / ".pytest_cache" / "kernels")  # subprocesses inherit it
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # torch.empty is NaN


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)

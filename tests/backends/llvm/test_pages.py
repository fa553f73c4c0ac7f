"""Memory for large calls: large pages are asked for, whole ones and inside of it; a system without any is no error."""

import mmap

import pytest
import torch

from carrousel.backends.llvm import pages


def test_large_memory_asks_for_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(pages, "_advise", lambda *given: asked.append(given))
    pages.memory(torch.empty(1).expand(pages.LARGE // 4 - 1))
    assert not asked
    new = pages.memory(torch.empty(1).expand(3, pages.LARGE // 4))
    [(start, size, _)] = asked
    assert start % mmap.PAGESIZE == size % mmap.PAGESIZE == 0
    assert 0 <= start - new.data_ptr() < mmap.PAGESIZE
    assert 0 <= new.data_ptr() + new.nbytes - (start + size) < mmap.PAGESIZE


def test_the_system_takes_the_request() -> None:
    new = pages.memory(torch.empty(1, dtype=torch.float64).expand(pages.LARGE // 4))
    assert new.fill_(2.0).sum() == 2 * len(new)


def test_a_system_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    assert pages._system_call() is None
    monkeypatch.setattr(pages, "_advise", None)
    assert pages.memory(torch.empty(pages.LARGE)).shape == (pages.LARGE,)

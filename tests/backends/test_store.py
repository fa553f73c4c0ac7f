"""The cache of generated kernels: what is stored, what is never trusted, what happens when it can not be written."""

import errno
import gc
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel import cells
from carrousel.backends import eager, store
from carrousel.errors import BackendError

TEXT = "def kernel(a):\n    return a\n"
CODE = b"\x7fELF\x00\n\xff\xfe\r\n" + bytes(range(256)) * 5  # no text in any encoding


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Makes a text, or machine code, and counts how often."""

    def __init__(self, content=TEXT) -> None:
        self.content, self.calls = content, 0

    def __call__(self):
        self.calls += 1
        return self.content


def stored() -> Path:
    (path,) = store.entries()
    return path


# ---------------------------------------------------------------------- round trip


@pytest.mark.parametrize("text", [TEXT, "", "\n", "a\r\nb\rc\n", "first\n\nlast without end", "# à la carte\n"])
def test_round_trip(text: str) -> None:
    make = Maker(text)
    assert store.fetch_text("key", make) == text
    assert store.fetch_text("key", make) == text
    assert make.calls == 1
    assert store.was_issued(text)


@pytest.mark.parametrize("code", [CODE, b"", b"\n", b"\r\n\x00", b"\n" * 70, TEXT.encode()])
def test_round_trip_of_machine_code(code: bytes) -> None:
    make = Maker(code)
    assert store.fetch("key", make) == code
    assert store.fetch("key", make) == code
    assert make.calls == 1


def test_machine_code_is_no_text_that_a_backend_wrote() -> None:
    text = "def kernel(a):\n    return a\n# machine code\n"
    assert store.fetch("key", Maker(text.encode())) == text.encode()
    assert not store.was_issued(text)


def test_each_key_has_a_file() -> None:
    assert store.fetch_text("one", Maker("1")) == "1"
    assert store.fetch_text("two", Maker("2")) == "2"
    assert len(store.entries()) == 2
    assert store.fetch_text("one", Maker("never made")) == "1"


def test_garbage_is_left_while_something_is_made_and_not_longer() -> None:
    def make() -> bytes:
        raise RuntimeError(str(gc.isenabled()))

    with pytest.raises(RuntimeError, match="False"):
        store.fetch("key", make)
    assert gc.isenabled()


def test_backward_kernel_is_stored_and_found() -> None:
    cell = cells.get("peephole_lstm")
    text = cell.source("eager", "backward")
    assert stored().read_text(encoding="utf-8").partition("\n")[2] == text
    assert cell.source("eager", "backward") == text
    assert len(store.entries()) == 1


def test_a_stored_kernel_is_found_without_sympy(tmp_path: Path) -> None:
    script = """
import sys
from carrousel import cells
text = cells.get("lstm").source("eager", "backward")
print("sympy" in sys.modules)
"""
    found = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert found == ["True", "False"]


# ---------------------------------------------------------------------- never trusted


def damage_text(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("return a", "return -a"), encoding="utf-8")


def damage_seal(path: Path) -> None:
    path.write_text("0" + path.read_text(encoding="utf-8"), encoding="utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


def seal_of_the_text_alone(path: Path) -> None:
    path.write_text(f"{hashlib.sha256(TEXT.encode()).hexdigest()}\n{TEXT}", encoding="utf-8")


@pytest.mark.parametrize("damage", [damage_text, damage_seal, cut, empty, garbage, seal_of_the_text_alone])
def test_damaged_file_is_made_again(damage) -> None:
    store.fetch_text("key", Maker())
    whole = stored().read_bytes()
    damage(stored())
    make = Maker()
    assert store.fetch_text("key", make) == TEXT
    assert make.calls == 1
    assert stored().read_bytes() == whole


def damaged(whole: bytes) -> list[bytes]:
    """A file with one bit flipped, cut short, lengthened, with a piece moved: in the seal and in the content."""
    places = (0, 1, 63, 64, 65, 70, len(whole) // 2, len(whole) - 1)
    flipped = [whole[:k] + bytes([whole[k] ^ 1 << bit]) + whole[k + 1 :] for k in places for bit in (0, 5, 7)]
    return [*flipped, *(whole[:k] for k in places), whole + b"\0", whole + whole, whole[65:], whole[:65] + whole[66:]]


def test_damaged_machine_code_is_made_again() -> None:
    store.fetch("key", Maker(CODE))
    whole = stored().read_bytes()
    for other in damaged(whole):
        stored().write_bytes(other)
        make = Maker(CODE)
        assert store.fetch("key", make) == CODE
        assert make.calls == 1
        assert stored().read_bytes() == whole


def test_machine_code_under_the_name_of_another_key_is_made_again() -> None:
    store.fetch("one", Maker(CODE))
    one = stored()
    store.fetch("two", Maker(CODE[::-1]))
    (two,) = set(store.entries()) - {one}
    one.rename(two)
    make = Maker(CODE[::-1])
    assert store.fetch("two", make) == CODE[::-1]
    assert make.calls == 1
    assert store.entries() == [two]


def test_file_of_another_key_is_made_again() -> None:
    store.fetch_text("one", Maker("1"))
    other = stored()
    store.fetch_text("two", Maker("2"))
    (two,) = set(store.entries()) - {other}
    two.write_bytes(other.read_bytes())
    make = Maker("2")
    assert store.fetch_text("two", make) == "2"
    assert make.calls == 1


def test_file_of_another_user_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store.fetch_text("key", Maker())
    monkeypatch.setattr(os, "getuid", lambda: stored().stat().st_uid + 1)
    make = Maker()
    assert store.fetch_text("key", make) == TEXT
    assert make.calls == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_made_again(mode: int) -> None:
    store.fetch("key", Maker(CODE))
    stored().chmod(mode)
    make = Maker(CODE)
    assert store.fetch("key", make) == CODE
    assert make.calls == 1
    assert stat.S_IMODE(stored().stat().st_mode) == 0o600


def test_file_that_others_may_read_is_trusted() -> None:
    store.fetch("key", Maker(CODE))
    stored().chmod(0o644)
    assert store.fetch("key", Maker(b"never made")) == CODE


# ---------------------------------------------------------------------- folders


def test_folder_is_private(folder: Path) -> None:
    store.fetch_text("key", Maker())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(stored().stat().st_mode) == 0o600
    assert [path.suffix for path in folder.iterdir()] == [".kernel"]


def below_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("not a folder")
    return str(tmp_path / "file" / "cache")


def a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("not a folder")
    return str(tmp_path / "file")


@pytest.mark.parametrize("impossible", [below_a_file, a_file, lambda _: "~nobody-here/cache"])
def test_folder_that_can_not_be_written_costs_time_only(impossible, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CARROUSEL_CACHE", impossible(tmp_path))
    make = Maker()
    assert store.fetch_text("key", make) == TEXT
    assert store.fetch_text("key", make) == TEXT
    assert make.calls == 2
    assert store.entries() == []
    assert store.clear() == 0
    assert store.was_issued(TEXT)


def test_folder_that_can_only_be_read_gives_what_it_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.fetch("held", Maker(CODE))
    folder.chmod(0o500)

    def refused(*arguments: object, **options: object) -> None:  # root may write where nobody may
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store.tempfile, "mkstemp", refused)
    assert store.fetch("held", Maker(b"never made")) == CODE
    make = Maker(CODE[::-1])
    assert store.fetch("other", make) == CODE[::-1]
    assert store.fetch("other", make) == CODE[::-1]
    assert make.calls == 2
    assert len(store.entries()) == 1
    folder.chmod(0o700)


def test_full_disk_leaves_no_piece_of_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert store.fetch("key", Maker(CODE)) == CODE
    assert list(folder.iterdir()) == []


def test_entry_that_is_a_folder_costs_time_only(folder: Path) -> None:
    store.fetch_text("key", Maker())
    path = stored()
    path.unlink()
    (path / "inside").mkdir(parents=True)
    make = Maker()
    assert store.fetch_text("key", make) == TEXT
    assert make.calls == 1
    assert [p for p in folder.iterdir() if p.suffix == ".part"] == []
    assert store.clear() == 0


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CARROUSEL_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.folder() == tmp_path / "xdg" / "carrousel"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.folder() == tmp_path / ".cache" / "carrousel"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store.folder() == tmp_path / "Library" / "Caches" / "carrousel"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert store.folder() == tmp_path / "local" / "carrousel" / "cache"


# ---------------------------------------------------------------------- size


def test_oldest_entries_go_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LIMIT", 3 * 1100)
    for number in range(5):
        store.fetch_text(str(number), Maker(str(number) * 1000))
        (newest,) = (p for p in store.entries() if p.read_bytes().endswith(str(number).encode() * 1000))
        os.utime(newest, (number, number))
    kept = [path.read_bytes()[-1:] for path in store.entries()]
    assert kept == [b"2", b"3", b"4"]
    make = Maker("0" * 1000)
    store.fetch_text("0", make)
    assert make.calls == 1


def test_one_entry_above_the_limit_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LIMIT", 10)
    assert store.fetch_text("key", Maker()) == TEXT
    assert store.entries() == []


def test_clear() -> None:
    for number in range(3):
        store.fetch_text(str(number), Maker(str(number)))
    assert store.clear() == 3
    assert store.entries() == []
    assert store.clear() == 0


# ---------------------------------------------------------------------- processes


def test_two_processes_at_once(folder: Path) -> None:
    script = """
import sys
from carrousel.backends import store
code = bytes(range(256))
for round in range(200):
    key = str(round % 5)
    assert store.fetch_text("text " + key, lambda: key * 20000) == key * 20000
    assert store.fetch("code " + key, lambda: code * 200 + key.encode()) == code * 200 + key.encode()
    if round % 50 == int(sys.argv[1]):
        store.clear()
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(k)], stderr=subprocess.PIPE, text=True) for k in range(2)
    ]
    for process in running:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint
    assert {path.suffix for path in folder.iterdir()} <= {".kernel"}
    for path in store.entries():
        assert path.stat().st_size in (64 + 1 + 20000, 64 + 1 + 256 * 200 + 1)


# ---------------------------------------------------------------------- the text that is shown is the text that runs


def test_compile_takes_what_was_issued() -> None:
    text = cells.get("lstm").source("eager")
    assert eager.compile_kernel(text).__name__ == "lstm"


@pytest.mark.parametrize(
    "change", [lambda text: text + " ", lambda text: text.replace("tanh", "sigmoid"), lambda _: TEXT]
)
def test_compile_refuses_any_other_text(change) -> None:
    text = change(cells.get("gru").source("eager")) + "# changed by hand\n"
    with pytest.raises(BackendError) as caught:
        eager.compile_kernel(text)
    assert str(caught.value) == (
        "backend 'eager' - got a kernel text that it did not write - pass what cell.source('eager') returned, "
        "unchanged; to change a kernel change the cell's definition"
    )
    assert not store.was_issued(text)

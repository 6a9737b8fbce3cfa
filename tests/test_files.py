"""`replace_file`: files are written completely or not at all."""

import errno
import os
import threading
import time

import pytest

from sklmat.files import replace_file


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replace_file(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith("."), "readers of the folder would see an unfinished file"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half():
        with replace_file(str(path)) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="too early"), replace_file(tmp_path / "a"):
        raise ValueError("too early")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_only_when_asked_for(tmp_path):
    path = tmp_path / "one" / "two" / "table.csv"
    with pytest.raises(FileNotFoundError), replace_file(path) as temporary:
        temporary.write_text("new")
    assert not (tmp_path / "one").exists()
    with replace_file(path, make_folder=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_the_temporary_file_can_be_in_another_folder(tmp_path):
    (tmp_path / "unfinished").mkdir()
    with replace_file(tmp_path / "a", folder=tmp_path / "unfinished") as temporary:
        assert temporary.parent == tmp_path / "unfinished"
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new"
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    both_write = threading.Barrier(2, timeout=30)

    def write(text):
        with replace_file(tmp_path / "a") as temporary:
            temporary.write_text(text)
            both_write.wait()
            assert temporary.read_text() == text

    other = threading.Thread(target=write, args=("b" * 10,))
    other.start()
    write("a" * 10)
    other.join()
    assert (tmp_path / "a").read_text() in ("a" * 10, "b" * 10)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_killed_processes_left_long_ago_is_removed(tmp_path):
    names = [f".{name}.{'0' * 31}{number}.part" for number, name in enumerate("abcd")]
    old, new, old_folder, used_folder = (tmp_path / name for name in names)
    of_others = tmp_path / ".rsync.part"
    for path in (old, new, of_others):
        path.touch()
    for folder in (old_folder, used_folder):
        folder.mkdir()
        (folder / "positions").touch()
    two_hours_ago = time.time() - 7200
    for path in (old, of_others, old_folder / "positions", old_folder, used_folder):
        os.utime(path, (two_hours_ago, two_hours_ago))
    with replace_file(tmp_path / "table.csv") as temporary:
        temporary.touch()
    left = {new, used_folder, of_others, tmp_path / "table.csv"}
    assert set(tmp_path.iterdir()) == left


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(OSError, match=r"\[Errno 28\] .* '[^']*/table.csv'$"), replace_file(path):
        # As a full disk does, without a name.
        raise OSError(errno.ENOSPC, "No space left on device")
    none = tmp_path / "none" / "table.csv"
    with pytest.raises(FileNotFoundError, match=r"/none/table.csv'$"), replace_file(none) as other:
        other.touch()
    with pytest.raises(FileNotFoundError, match=r"/other'$"), replace_file(path):
        (tmp_path / "other").read_text()
    with pytest.raises(OSError, match=r"^no route$"), replace_file(path):
        raise OSError("no route")
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=r"/table.csv'$"), replace_file(path) as temporary:
        temporary.touch()

"""Downloads: once, resumed, checked, and explained when there is no network."""

import functools
import hashlib
import http.server
import subprocess
import sys
import threading

import pytest

from sklmat import datasets
from sklmat.datasets import fetch_hea, get_data_home
from sklmat.downloads import _download


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A stand-in for the public host, with two registered files, one with a space in its name."""
    origin = tmp_path / "origin"
    content = {"toy/a.txt": b"alpha\n", "toy/folder/b c.txt": b"beta\n"}
    for path, text in content.items():
        file = origin / "owner/repository/commit" / path.partition("/")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    handler = functools.partial(Quiet, directory=origin)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.asked, server.content, server.origin = [], content, origin
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = {path: hashlib.sha256(text).hexdigest() for path, text in content.items()}
    monkeypatch.setattr(_download, "RAW_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(_download, "SOURCES", {"toy": ("owner/repository", "commit")})
    monkeypatch.setattr(_download, "registry", lambda: known)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    yield server
    server.shutdown()
    server.server_close()


def test_download_once(server, tmp_path, capsys):
    home = tmp_path / "home"
    files = _download.fetch_files(list(server.content), home)
    assert [file.read_bytes() for file in files] == list(server.content.values())
    assert sorted(server.asked) == [
        "/owner/repository/commit/a.txt",
        "/owner/repository/commit/folder/b%20c.txt",
    ]
    assert "2/2" in capsys.readouterr().err
    assert _download.fetch_files(list(server.content), home, download_if_missing=False) == files
    assert len(server.asked) == 2


def test_download_resumes_and_repairs(server, tmp_path):
    home = tmp_path / "home"
    first, second = _download.fetch_files(list(server.content), home, verbose=False)
    second.write_bytes(b"bet")
    server.asked.clear()
    with pytest.warns(UserWarning, match=r"b c.txt is damaged: its sha256 is .*, known is "):
        _download.fetch_files(list(server.content), home, verbose=False)
    assert second.read_bytes() == b"beta\n"
    assert first.read_bytes() == b"alpha\n"
    assert server.asked == ["/owner/repository/commit/folder/b%20c.txt"]


def test_download_from_a_folder_that_is_no_repository(server, tmp_path, monkeypatch):
    folder = f"{_download.RAW_HOST}/owner/repository/commit"
    monkeypatch.setattr(_download, "SOURCES", {"toy": folder})
    files = _download.fetch_files(list(server.content), tmp_path / "home", verbose=False)
    assert [file.read_bytes() for file in files] == list(server.content.values())


def test_download_with_wrong_content_is_refused(server, tmp_path):
    (server.origin / "owner/repository/commit/a.txt").write_bytes(b"something else\n")
    home = tmp_path / "home"
    with pytest.raises(OSError, match=r"1 data file\(s\) missing or damaged") as error:
        _download.fetch_files(list(server.content), home, verbose=False)
    assert not (home / "toy/a.txt").exists()
    # What did arrive is kept, and the next call asks for the rest only.
    assert (home / "toy/folder/b c.txt").read_bytes() == b"beta\n"
    assert "does not match" in str(error.value)


def test_a_failed_download_is_tried_again(server, tmp_path, monkeypatch):
    do_GET = Quiet.do_GET

    def fail_once(handler):
        if server.asked:
            return do_GET(handler)
        server.asked.append("failed")
        return handler.send_error(503)

    monkeypatch.setattr(Quiet, "do_GET", fail_once)
    monkeypatch.setattr(_download, "RETRIES", 1)
    (file,) = _download.fetch_files(["toy/a.txt"], tmp_path / "home", verbose=False)
    assert file.read_bytes() == b"alpha\n"
    assert server.asked == ["failed", "/owner/repository/commit/a.txt"]
    # As any other file, for those who share the folder.
    (tmp_path / "other").touch()
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_offline_error_says_what_goes_where(server, tmp_path):
    server.shutdown()
    server.server_close()
    home = tmp_path / "home"
    with pytest.raises(OSError) as error:
        _download.fetch_files(list(server.content), home, verbose=False)
    message = str(error.value)
    for path in server.content:
        assert f"{_download.file_url(path)}\n    -> {home / path}\n" in message
    assert f"git clone https://github.com/owner/repository {home / 'toy'}" in message
    assert not (home / "toy").exists()


def test_no_download_when_not_wanted(server, tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False"):
        _download.fetch_files(["toy/a.txt"], tmp_path, download_if_missing=False)
    assert server.asked == []


def test_damaged_file_offline(server, tmp_path):
    _download.fetch_files(["toy/a.txt"], tmp_path, verbose=False)
    (tmp_path / "toy/a.txt").write_bytes(b"alph")
    with pytest.raises(OSError, match=hashlib.sha256(b"alph").hexdigest()):
        _download.fetch_files(["toy/a.txt"], tmp_path, download_if_missing=False)


def test_long_error_is_cut(tmp_path):
    with pytest.raises(OSError, match="and 360 more, by the same pattern") as error:
        fetch_hea(data_home=tmp_path, download_if_missing=False)
    assert len(str(error.value).splitlines()) < 20


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLMAT_DATA", str(tmp_path))
    assert get_data_home() == tmp_path
    assert get_data_home(tmp_path / "other") == tmp_path / "other"
    monkeypatch.delenv("SKLMAT_DATA")
    assert get_data_home().name == "sklmat"


def test_registry_is_pinned_to_public_commits():
    registry = _download.registry()
    assert len(registry) == 412
    assert all(len(sha256) == 64 for sha256 in registry.values())
    assert _download.file_url("perov_cgcnn/Data/Training data for CGCNN.xlsx") == (
        "https://raw.githubusercontent.com/KRICT-DATA/Perov_CGCNN/"
        "991adb016e216020c4dfc0484015cf1565c326b3/Data/Training%20data%20for%20CGCNN.xlsx"
    )
    assert _download.file_url("matbench/matbench_glass.json.gz") == (
        "https://ml.materialsproject.org/projects/matbench_glass.json.gz"
    )


def test_offline_error_of_a_source_without_repository(tmp_path):
    path = "matbench/matbench_glass.json.gz"
    with pytest.raises(OSError) as error:
        _download.fetch_files([path], tmp_path, download_if_missing=False)
    assert f"{_download.file_url(path)}\n    -> {tmp_path / path}" in str(error.value)
    assert "git" not in str(error.value).replace("github", "")


def test_import_is_light():
    heavy = "{'torch', 'ase', 'pooch', 'pandas', 'pymatgen', 'sklearn'}"
    code = f"import sys, sklmat.datasets; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist():
    for name in datasets.__all__:
        assert callable(getattr(datasets, name))
    with pytest.raises(AttributeError, match="no attribute 'fetch_nothing'"):
        _ = datasets.fetch_nothing

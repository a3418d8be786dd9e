import hashlib
import http.client
import io
import socket
import tarfile
import threading
import urllib.error
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from medfit.data.datasets import download
from medfit.data.datasets.download import fetch, unpack
from medfit.errors import UserError

CONTENTS = b"volumes" * 5000
MD5 = hashlib.md5(CONTENTS).hexdigest()


class Answer(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENTS)))
        self.end_headers()
        self.wfile.write(CONTENTS[: 1000 if self.path.startswith("/cut") else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Answer, "asked", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def refused(url, folder, md5=MD5):
    with pytest.raises(UserError) as caught:
        fetch(url, folder, md5)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert message.startswith("task.tar: the download failed (")
    assert f"download it by hand from {url} and set dataset.root" in message
    assert not list(folder.glob("*"))
    return message


def test_a_file_is_downloaded_whole(server, tmp_path, capsys):
    file = fetch(f"{server}/task.tar?download=1", tmp_path / "data", MD5)
    assert file == tmp_path / "data" / "task.tar"
    assert file.read_bytes() == CONTENTS
    assert [path.name for path in file.parent.iterdir()] == ["task.tar"]
    assert "downloading" in capsys.readouterr().out


def test_a_file_that_is_there_is_not_downloaded_again(server, tmp_path):
    for _ in range(2):
        fetch(f"{server}/task.tar", tmp_path, MD5)
    assert Answer.asked == 1


def test_a_damaged_file_that_is_there_is_downloaded_again(server, tmp_path):
    (tmp_path / "task.tar").write_bytes(CONTENTS[:-1])
    assert fetch(f"{server}/task.tar", tmp_path, MD5).read_bytes() == CONTENTS


def test_a_download_that_breaks_off_leaves_nothing(server, tmp_path):
    assert f"broke off after 1000 of {len(CONTENTS)} bytes" in refused(f"{server}/cut/task.tar", tmp_path)


def test_other_contents_leave_nothing(server, tmp_path):
    assert "its checksum is wrong" in refused(f"{server}/task.tar", tmp_path, md5="0" * 32)


def test_a_file_that_the_server_does_not_have_is_told(server, tmp_path):
    assert "HTTP 404 Not Found" in refused(f"{server}/gone/task.tar", tmp_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "timed out"),
        (urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), "Name or service not known"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (http.client.RemoteDisconnected("Remote end closed connection"), "Remote end closed connection"),
    ],
)
def test_no_network_is_told(tmp_path, monkeypatch, error, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(download.urllib.request, "urlopen", fail)
    assert words in refused("https://example.org/task.tar", tmp_path)


def test_an_error_while_it_is_written_leaves_nothing(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.shutil, "copyfileobj", full)
    assert "No space left on device" in refused(f"{server}/task.tar", tmp_path)


def archive(path, files):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, contents in files.items():
                packed.writestr(name, contents)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for name, contents in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
    return path


@pytest.mark.parametrize("ending", ["tar", "tgz", "zip"])
def test_a_single_top_folder_becomes_the_folder(tmp_path, ending):
    file = archive(tmp_path / f"a.{ending}", {"task/images/a.txt": b"a", "task/b.txt": b"b"})
    folder = unpack(file, tmp_path / "task04")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")) == ["b.txt", "images/a.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, "task04"]


def test_loose_files_are_put_into_the_folder(tmp_path):
    folder = unpack(archive(tmp_path / "a.zip", {"a.txt": b"a", "b.txt": b"b"}), tmp_path / "task")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt"]


def test_a_folder_that_is_there_stays(tmp_path):
    (tmp_path / "task").mkdir()
    unpack(archive(tmp_path / "a.zip", {"a.txt": b"a"}), tmp_path / "task")
    assert list((tmp_path / "task").iterdir()) == []


@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path, ending):
    (tmp_path / "data").mkdir()
    file = archive(tmp_path / f"a.{ending}", {"good.txt": b"a", "../../evil.txt": b"b"})
    with pytest.raises(UserError, match=rf"a.{ending}: cannot be unpacked \(.*evil"):
        unpack(file, tmp_path / "data" / "task")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list((tmp_path / "data").iterdir())


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(UserError, match=r"a.tar: cannot be unpacked"):
        unpack(tmp_path / "a.tar", tmp_path / "task")
    assert not (tmp_path / "task").exists()


@pytest.mark.parametrize("ending", ["tar", "tgz", "zip"])
def test_an_archive_cut_off_leaves_nothing(tmp_path, ending):
    file = archive(tmp_path / f"a.{ending}", {f"{n}.txt": bytes(range(256)) * 40 for n in range(5)})
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.4)])
    with pytest.raises(UserError, match=rf"a.{ending}: cannot be unpacked .* delete it and download it again"):
        unpack(file, tmp_path / "task")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]

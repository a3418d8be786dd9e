"""Downloading public data: all of a file or none of it."""

import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import uuid
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from medfit.errors import UserError
from medfit.terminal.console import say

TIMEOUT_S = 60  # without a byte
CHUNK_BYTES = 1 << 20


def fetch(url: str, folder: Path, md5: str) -> Path:
    """Returns the file of a URL in a folder, downloaded unless it is already there.

    Args:
        url: Its last part is the file's name.
        folder: Made if need be.
        md5: Checksum of the whole file.

    Raises:
        UserError: no network, no such file, a download that broke off, or one with another checksum.
    """
    file = folder / urlsplit(url).path.rpartition("/")[2]
    if file.is_file() and _md5(file) == md5:
        return file
    part = folder / f"{file.name}.{uuid.uuid4().hex}.part"  # each process has its own: two downloads do not mix
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(url, part)
        if _md5(part) != md5:
            raise ValueError("its checksum is wrong")
        part.replace(file)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UserError(
            f"{file.name}: the download failed ({_reason(error)}); download it by hand from {url} and set dataset.root"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return file


def unpack(archive: Path, folder: Path) -> Path:
    """Returns the folder with what a tar or zip file holds; a single top folder becomes the folder itself.

    Args:
        archive: A ``.tar``, ``.tar.gz``, ``.tgz`` or ``.zip`` file.
        folder: Appears only when all is unpacked; what is there already stays.

    Raises:
        UserError: the archive is damaged, or holds a path that leads out of the folder.
    """
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        whole = Path(temporary) / "whole"
        try:
            _extract(archive, whole)
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise UserError(
                f"{archive.name}: cannot be unpacked ({_reason(error)}); delete it and download it again"
            ) from error
        inner = list(whole.iterdir())
        top = inner[0] if len(inner) == 1 and inner[0].is_dir() else whole
        if not folder.is_dir():  # another process may have been faster
            top.rename(folder)
    return folder


def _download(url: str, part: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, part.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        say(f"downloading {url}" + (f" ({size / 1e6:.1f} MB)" if size else ""))
        shutil.copyfileobj(answer, file, CHUNK_BYTES)
        if size and file.tell() != size:
            raise ValueError(f"broke off after {file.tell()} of {size} bytes")


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    if archive.suffix.lower() != ".zip":
        with tarfile.open(archive) as tar:
            for member in tar:  # by hand, as the first releases of Python 3.11 have no extraction filter
                _check_within(folder, member.name)
                if member.isfile():
                    (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                    with tar.extractfile(member) as packed, (folder / member.name).open("wb") as file:  # type: ignore[union-attr]
                        shutil.copyfileobj(packed, file, CHUNK_BYTES)
                elif not member.isdir():
                    raise ValueError(f"'{member.name}' is neither a file nor a folder")
        return
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            _check_within(folder, name)
        zipped.extractall(folder)


def _check_within(folder: Path, name: str) -> None:
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"'{name}' leads out of the folder")


def _reason(error: Exception) -> str:
    """Returns an error in a few words, without the paths that it may name."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it holds the answer
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    words = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return (words or type(error).__name__).splitlines()[0][:100]

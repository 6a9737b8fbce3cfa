"""Paths and files: ``~`` in paths, what a file is, and writing a file completely or not at all."""

import contextlib
import functools
import os
import re
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

from sklmat.safetensors_files import read_safetensors_header

_PICKLE = (
    "a file of joblib.dump or pickle, which joblib.load reads; this runs code from the file, so do "
    "it only if you trust where the file comes from"
)
_TORCH = "a file of torch.save; load_cgcnn_checkpoint reads the checkpoints of the original CGCNN"
#: First bytes of a file -> what it is.
_BEGINNINGS = {
    # torch.save before version 1.6.
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": _TORCH,
    **{bytes([0x80, protocol]): _PICKLE for protocol in range(2, 6)},
}
#: First bytes of a file -> how it is compressed. joblib uses all of these.
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"x\x01": "zlib",
    b"x\x5e": "zlib",
    b"x\x9c": "zlib",
    b"x\xda": "zlib",
    b"BZh": "bz2",
    b"\xfd7zXZ": "xz",
    b"]\x00\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
}
#: Formats of our own safetensors files, without their numbers -> what reads them.
_OUR_FORMATS = {
    "sklmat-estimator": "an estimator, which the load() of its class reads (CGCNNRegressor.load)",
    "sklmat-ecnet-featurizer": "a transformer, which ECNetFeaturizer.load reads",
    "sklmat-eftgan": "a model, which EFTGANRegressor.load reads",
    "sklmat-infogan": "a sampler, which InfoGANAugmenter.load reads",
    "sklmat-graphs": "crystal graphs, which CrystalGraphs.load reads",
}
#: Number of characters of a text that an error shows.
_SHOWN = 40
#: Names of files and folders that are not complete yet; see `unfinished_path`.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.part")
#: An unfinished file that nobody has written to for so long (s) is of a process that was killed.
_ABANDONED = 3600


def expand_path(path: str | os.PathLike[str]) -> Path:
    """Make a `Path` of any path, with ``~`` or ``~name`` at its start as the home folder.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Path

    Examples
    --------
    >>> from pathlib import Path
    >>> from sklmat.files import expand_path
    >>> expand_path("~/models/gap.safetensors").relative_to(Path.home()).as_posix()
    'models/gap.safetensors'
    """
    return Path(path).expanduser()


def describe_file(path: str | os.PathLike[str]) -> str:
    """Say what a file is and what reads it, for an error about a file of the wrong kind.

    The file is judged by its first bytes; nothing in it is unpickled or executed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    str
        The end of a sentence that begins with "it is".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklmat.files import describe_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "NaCl.cif"
    ...     _ = path.write_text("data_NaCl")
    ...     describe_file(path)
    "a text file that begins with 'data_NaCl'"
    """
    path = Path(path)
    if path.is_dir():
        return "a folder"
    with path.open("rb") as file:
        head = file.read(1000)
    if not head:
        return "an empty file"
    for beginning, description in _BEGINNINGS.items():
        if head.startswith(beginning):
            return description
    for beginning, name in _COMPRESSIONS.items():
        if head.startswith(beginning):
            return f"a compressed file ({name}), perhaps {_PICKLE}"
    if head.startswith(b"PK"):
        return _describe_zip(path)
    header, start = read_safetensors_header(path)
    if header:
        return _describe_safetensors(header, path.stat().st_size - start)
    return _describe_text(head)


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether ``torch.save`` wrote a file, by its first bytes and the names inside."""
    return describe_file(path) == _TORCH


def _describe_zip(path):
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    # zipfile reports a damaged directory by errors of many kinds.
    except Exception:
        return "a damaged zip archive, perhaps a file of torch.save; copy it again"
    if any(name.endswith("data.pkl") for name in names):
        return _TORCH
    if any(name.endswith(".npy") for name in names):
        return "a file of numpy.savez, which numpy.load reads"
    return "a zip archive"


def _describe_safetensors(header, size):
    try:
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        is_complete = size >= max(ends, default=0)
        name = header.get("__metadata__", {}).get("format", "")
    except (AttributeError, LookupError, TypeError):
        return "a safetensors file whose header is damaged; copy or save it again"
    if not is_complete:
        return "a safetensors file that is not complete; copy or save it again"
    if not isinstance(name, str):
        return "another safetensors file"
    description = _OUR_FORMATS.get(name.rpartition("-")[0])
    return f"{description}, in the format {name!r}" if description else "another safetensors file"


def _describe_text(head):
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        # Of the last character, bytes may be missing.
        if error.start < len(head) - 3:
            return "a binary file of an unknown format"
        text = head[: error.start].decode()
    if "\0" in text:
        return "a binary file of an unknown format"
    return f"a text file that begins with {text.strip()[:_SHOWN]!r}"


@contextlib.contextmanager
def damage_named(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """Turn the errors that a damaged or made-up file causes into a ValueError with its path.

    Parameters
    ----------
    path : str or path-like
    remedy : str
        What to do, the end of the message.

    Raises
    ------
    ValueError
        For any error except those that the file is missing or may not be read. A ValueError with
        the path in it stays as it is.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    # Libraries report what they cannot read by errors of many kinds.
    except Exception as error:
        # Those of libraries may be subclasses, such as ArrowInvalid and UnicodeDecodeError.
        is_ours = type(error) is ValueError or type(error).__module__.startswith("sklmat.")
        if is_ours and isinstance(error, ValueError) and str(path) in str(error):
            raise
        reason = shorten(f"{error}" or type(error).__name__, 200, placeholder=" ...")
        raise ValueError(f"{path} is damaged: {reason}; {remedy}") from error


@contextlib.contextmanager
def unfinished_path(
    path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Temporary name for a file or folder, which is removed at the end if it is still there.

    What killed processes have left in the folder under such names, more than an hour ago, is
    removed by the first call for the folder in each process.

    Parameters
    ----------
    path : str or Path
        The final file.
    folder : str, Path or None, default=None
        Folder of the temporary file; None means the folder of `path`.

    Yields
    ------
    temporary : Path
        A hidden and unique name, so that several processes and threads can write the same file.

    Raises
    ------
    OSError
        With the name `path`, when the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    folder = path.parent if folder is None else Path(folder)
    _remove_abandoned(folder.absolute())
    temporary = folder / f".{path.name}.{uuid.uuid4().hex}.part"
    try:
        yield temporary
    except OSError as error:
        # The error of a full disk names no file, and others name the temporary one.
        named = path if error.filename is None else Path(os.fsdecode(error.filename))
        if error.errno is None or not (named == path or named.is_relative_to(temporary)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


@functools.lru_cache(1000)
def _remove_abandoned(folder):
    # Other processes may remove them at the same time, and the folder may be read-only.
    with contextlib.suppress(OSError):
        for name in filter(_UNFINISHED.fullmatch, os.listdir(folder)):
            path = folder / name
            with contextlib.suppress(OSError):
                changes = [each.stat().st_mtime for each in (path, *path.rglob("*"))]
                if time.time() - max(changes) > _ABANDONED:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def replace_file(
    path: str | os.PathLike,
    *,
    folder: str | os.PathLike | None = None,
    make_folder: bool = False,
) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is complete.

    Other processes read the old file or the complete new one. If the ``with`` block raises an
    error, the temporary file is removed and the old file stays.

    Parameters
    ----------
    path : str or Path
        The file to write or replace.
    folder : str, Path or None, default=None
        Folder of the temporary file, on the same file system as `path`; None means the folder of
        `path`.
    make_folder : bool, default=False
        Whether to create the folder of `path`, with its parents, when it does not exist.

    Yields
    ------
    temporary : Path
        The name to write to; see `unfinished_path`.

    Raises
    ------
    OSError
        See `unfinished_path`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklmat.files import replace_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "settings.json"
    ...     with replace_file(path) as temporary:
    ...         _ = temporary.write_text("{}")
    ...     path.read_text()
    '{}'
    """
    path = Path(path)
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_path(path, folder) as temporary:
        yield temporary
        os.replace(temporary, path)

"""Download of data files: addresses, checksums, and `get_data_home`, the folder of the files."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from sklmat.argument_checks import checked_arguments
from sklmat.files import expand_path, replace_file

if TYPE_CHECKING:
    from sklmat.typing import PathLike

#: First folder of a file's path in the data home -> the repository on GitHub and the commit, or the
#: address of the folder.
SOURCES = {
    "eftgan": ("yeebosun/EFTGAN", "d9f231b38ec2c2533cef0c3b15a504f5c6809ae4"),
    "perov_cgcnn": ("KRICT-DATA/Perov_CGCNN", "991adb016e216020c4dfc0484015cf1565c326b3"),
    "cgcnn": ("txie-93/cgcnn", "f42ab233c4ee0c416879d6bc2d22a264418413ad"),
    # Addresses and checksums as in dataset_metadata.json of matminer 0.10.1.
    "matbench": "https://ml.materialsproject.org/projects",
}
RAW_HOST = "https://raw.githubusercontent.com"
RETRIES = 2
TIMEOUT = 30  # seconds
THREADS = 4
#: Number of files that an error lists with their addresses.
MAX_LISTED = 5


@checked_arguments()
def get_data_home(data_home: PathLike | None = None) -> Path:
    """Return the folder of the data files.

    Parameters
    ----------
    data_home : str or Path, default=None
        The folder. ``None`` takes the environment variable ``SKLMAT_DATA`` or, if it is not set,
        the user's cache folder (``pooch.os_cache("sklmat")``), so that each data set is downloaded
        once per user.

    Returns
    -------
    data_home : Path
        This function does not create it. It may be read-only once it contains all files.

    Examples
    --------
    >>> from sklmat.datasets import get_data_home
    >>> get_data_home("my_data").name
    'my_data'
    """
    if data_home is None:
        data_home = os.environ.get("SKLMAT_DATA")
    if data_home:
        return expand_path(data_home)
    import pooch

    return Path(pooch.os_cache("sklmat"))


@cache
def registry() -> dict[str, str]:
    """Known files: path in the data home -> sha256.

    The file has the format of ``sha256sum``: ``sha256sum -c --ignore-missing`` checks a data home.
    """
    text = resources.files("sklmat.downloads").joinpath("_registry.txt").read_text("utf-8")
    lines = (line.split("  ", 1) for line in text.splitlines())
    return {path: sha256 for sha256, path in lines}


def file_url(path: str) -> str:
    """Public address of a file of the registry."""
    name, _, path_in_source = path.partition("/")
    source = SOURCES[name]
    folder = source if isinstance(source, str) else "/".join([RAW_HOST, *source])
    return f"{folder}/{quote(path_in_source)}"


def fetch_files(
    paths: list[str],
    data_home: PathLike | None = None,
    *,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> list[Path]:
    """Return local paths of registered files; download missing files and verify all checksums.

    Parameters
    ----------
    paths : list of str
        Keys of `registry`.
    data_home : str or Path, default=None
        See `get_data_home`.
    download_if_missing : bool, default=True
        With ``False`` a missing file raises an error and is not downloaded.
    verbose : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    files : list of Path

    Raises
    ------
    OSError
        When a file is missing or damaged and cannot be downloaded. Downloaded files are kept, so
        that the next call continues the download.
    """
    home = get_data_home(data_home)
    missing = _missing(paths, home)
    if missing:
        damaged = [path for path in missing if (home / path).exists()]
        if not download_if_missing:
            raise OSError(_explain(missing, home, "download_if_missing is False"))
        for path in damaged:
            warnings.warn(f"{_mismatch(path, home)}; downloading it again", stacklevel=4)
        _download(missing, home, verbose)
    return [home / path for path in paths]


def _missing(paths, home):
    """The paths of files that do not exist or have another checksum."""
    import pooch

    checksums = registry()
    return [
        path
        for path in paths
        if not (home / path).is_file() or pooch.file_hash(str(home / path)) != checksums[path]
    ]


def _mismatch(path, home):
    """Describe a file whose checksum is wrong."""
    import pooch

    found = pooch.file_hash(str(home / path))
    return f"{home / path} is damaged: its sha256 is {found}, known is {registry()[path]}"


def _download(paths, home, verbose):
    """Download `paths` in parallel; downloaded files are kept if other downloads fail."""
    from tqdm.auto import tqdm

    pool = ThreadPoolExecutor(THREADS)
    try:
        jobs = [pool.submit(_download_file, path, home) for path in paths]
        bar = tqdm(
            as_completed(jobs),
            total=len(jobs),
            desc="downloading",
            unit="file",
            disable=not verbose,
        )
        for job in bar:
            job.result()
    except OSError as error:
        pool.shutdown(cancel_futures=True)
        missing = _missing(paths, home)
        _remove_empty_folders(missing, home)
        raise OSError(_explain(missing, home, error)) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _download_file(path, home):
    """Download a file; it gets its name when its checksum is right."""
    import pooch

    # The other functions of pooch make files that no other user can read, and a process that is
    # killed leaves files behind that nobody removes.
    download = pooch.HTTPDownloader(timeout=TIMEOUT)
    for n_left in reversed(range(RETRIES + 1)):
        try:
            with replace_file(home / path, make_folder=True) as temporary:
                download(file_url(path), str(temporary), None)
                found, known = pooch.file_hash(str(temporary)), registry()[path]
                if found != known:
                    raise OSError(
                        f"the content of {file_url(path)} does not match: its sha256 is {found}, "
                        f"known is {known}"
                    )
            return
        except OSError as error:
            # Errors of the disk have a number, others may go away.
            if error.errno is not None or not n_left:
                raise
            time.sleep(1)


def _remove_empty_folders(paths, home):
    """Remove empty folders after a failed download, because ``git clone`` refuses them."""
    folders = {home / parent for path in paths for parent in PurePosixPath(path).parents}
    for folder in sorted(folders - {home}, reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _explain(paths, home, cause):
    """Compose the error message: the missing files, their addresses, and where to put them."""
    lines = [f"{len(paths)} data file(s) missing or damaged, and not downloaded ({cause})."]
    lines += ["Put each file where the arrow points, or set data_home or the environment variable"]
    lines += ["SKLMAT_DATA to a folder that holds them:"]
    for path in paths[:MAX_LISTED]:
        lines += [f"  {file_url(path)}\n    -> {home / path}"]
        if (home / path).is_file():
            lines += [f"       ({_mismatch(path, home)})"]
    if len(paths) > MAX_LISTED:
        lines += [f"  and {len(paths) - MAX_LISTED} more, by the same pattern."]
    for source in sorted({path.partition("/")[0] for path in paths}):
        if isinstance(SOURCES[source], str) or (home / source).exists():
            continue
        repository, commit = SOURCES[source]
        lines += [f"All files of {source!r} at once, where it can be reached by git:"]
        lines += [f"  git clone https://github.com/{repository} {home / source}"]
        lines += [f"  git -C {home / source} checkout {commit}"]
    return "\n".join(lines)

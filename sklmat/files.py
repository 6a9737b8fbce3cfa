"""`replace_file`: writes a file completely or not at all (atomically)."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


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
        The name to write to: a hidden file with a unique name, so that several processes and
        threads can replace the same file.

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
    folder = path.parent if folder is None else Path(folder)
    temporary = folder / f".{path.name}.{uuid.uuid4().hex}.part"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

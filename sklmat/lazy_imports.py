"""`attach`: imports the public names of a package at their first use."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the names of a package available, and import their modules at the first use only.

    The names are those that ``__init__.pyi`` imports: type checkers and editors read the same file.
    Names for other modules of sklmat, which are imported ``as`` themselves, are not in its
    ``__all__``.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    file : str
        Its ``__file__``, next to which ``__init__.pyi`` lies.

    Returns
    -------
    __getattr__, __dir__ : callable
        Functions of the package, see PEP 562.
    __all__ : list of str
        The public names.
    """
    defined_in: dict[str, str] = {}
    public: list[str] = []
    modules: list[str] = []
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module == package:
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            defined_in |= {alias.name: f"{node.module}" for alias in node.names}
        elif isinstance(node, ast.Assign):
            public = ast.literal_eval(node.value)

    def get_attribute(name: str) -> Any:
        if name in defined_in:
            value = getattr(importlib.import_module(defined_in[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *public, *modules})

    return get_attribute, list_attributes, public

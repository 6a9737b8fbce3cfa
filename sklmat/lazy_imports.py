"""`attach`: public names of a package that are imported when they are first used."""

import importlib
import sys


def attach(package, names, modules=()):
    """Make the names of a package available without importing what defines them.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : dict of str to list of str
        Module of the package -> public names that it defines.
    modules : sequence of str, default=()
        Further modules of the package that are found as its attributes.

    Returns
    -------
    __getattr__, __dir__ : callable
        Functions of the package, see PEP 562.
    __all__ : list of str
        The public names, sorted.
    """
    home = {name: module for module, defined in names.items() for name in defined}

    def get_attribute(name):
        if name in home:
            value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_attributes():
        return sorted({*vars(sys.modules[package]), *home, *modules})

    return get_attribute, list_attributes, sorted(home)

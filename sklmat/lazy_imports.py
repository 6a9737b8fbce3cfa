"""`attach`: public names of a package that are imported when they are first used."""

import importlib
import sys


def attach(package, names, modules=(), internal=None):
    """Make the names of a package available without importing what defines them.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : dict of str to list of str
        Module of the package -> public names that it defines.
    modules : sequence of str, default=()
        Further modules of the package that are found as its attributes.
    internal : dict of str to list of str or None, default=None
        Module of the package -> names for other modules of sklmat. They can be imported from the
        package, but are not in ``__all__``.

    Returns
    -------
    __getattr__, __dir__ : callable
        Functions of the package, see PEP 562.
    __all__ : list of str
        The public names, sorted.
    """
    public = {name: module for module, defined in names.items() for name in defined}
    defined_in = dict(public)
    for module, defined in (internal or {}).items():
        defined_in |= dict.fromkeys(defined, module)

    def get_attribute(name):
        if name in defined_in:
            value = getattr(importlib.import_module(f"{package}.{defined_in[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_attributes():
        return sorted({*vars(sys.modules[package]), *public, *modules})

    return get_attribute, list_attributes, sorted(public)

"""Type hints: each public signature has all of them, and they name what exists."""

import ast
import dataclasses
import functools
import importlib
import inspect
import sys
import typing
from pathlib import Path

import pytest

import sklmat

ROOT = Path(sklmat.__file__).parent
MODULES = sorted(
    path.stem
    for path in ROOT.iterdir()
    if not path.stem.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").is_file())
)


@functools.cache
def names_for_types(module):
    """What a module imports for type checkers only."""
    names = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module.__file__, "exec"), names)
    return names


def defined_names(module):
    """The names of a module that others may use, `__all__` or not."""
    is_folder = hasattr(module, "__path__")
    for name in dir(module):
        thing = getattr(module, name)
        home = getattr(thing, "__module__", None) or ""
        is_here = home.startswith("sklmat") if is_folder else home == module.__name__
        if is_here and not name.startswith("_"):
            yield thing


def signatures(thing):
    """Functions with signatures that users see: a function itself, or the methods of a class.

    What comes from scikit-learn, torch or pandas is left out.
    """
    if not inspect.isclass(thing):
        return {"": thing}
    found = {}
    for cls in thing.__mro__:
        if not cls.__module__.startswith("sklmat"):
            continue
        for name, member in vars(cls).items():
            if name.startswith("_") and name not in ("__init__", "__len__", "__getitem__"):
                continue
            member = getattr(member, "fget", None) or getattr(member, "func", member)
            member = inspect.unwrap(getattr(member, "__func__", member))
            generated = name == "__init__" and dataclasses.is_dataclass(cls)
            is_own = getattr(member, "__module__", "").startswith("sklmat")
            if inspect.isfunction(member) and is_own and not generated:
                found.setdefault(name, member)
    return found


PUBLIC = sorted(
    {
        (f"{thing.__module__}.{thing.__qualname__}", name): function
        for module in MODULES
        for thing in defined_names(importlib.import_module(f"sklmat.{module}"))
        if inspect.isclass(thing) or inspect.isfunction(thing)
        for name, function in signatures(thing).items()
    }.items(),
    key=lambda item: item[0],
)


# What shap calls while it is imported.
@pytest.mark.filterwarnings("ignore:The set_.* function:PendingDeprecationWarning")
@pytest.mark.parametrize("function", [f for _, f in PUBLIC], ids=[".".join(k) for k, _ in PUBLIC])
def test_signature_is_typed(function):
    function = inspect.unwrap(function)
    expected = [
        name
        for number, name in enumerate(inspect.signature(function).parameters)
        if not (number == 0 and name in ("self", "cls"))
    ]
    if function.__name__ != "__init__":
        expected.append("return")
    assert [name for name in expected if name not in function.__annotations__] == []
    module = sys.modules[function.__module__]
    known = {**vars(typing), **names_for_types(sklmat.typing), **names_for_types(module)}
    typing.get_type_hints(function, {**vars(module), **known})

"""Inserts paragraphs that several docstrings share and that are written once.

A dictionary holds the paragraphs: name -> text. In a docstring, a line that holds only a name in
braces is a placeholder. `insert_paragraphs` replaces it by the text when the module is imported, so
that ``help``, Sphinx and doctest read the complete docstring, while the source shows the names of
the parameters in their order. If a class is decorated, the docstrings of its own methods are
completed too::

    SHARED = parameter_paragraphs('''
        verbose : bool, default=False
            Show a progress bar.
    ''')


    @insert_paragraphs(SHARED)
    class Estimator:
        '''Predict.

        Parameters
        ----------
        {verbose}
        '''
"""

import inspect
import re
from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import TypeVar

Documented = TypeVar("Documented")


def parameter_paragraphs(text: str) -> dict[str, str]:
    """Split a list of parameters or attributes in numpydoc format into its entries.

    Parameters
    ----------
    text : str
        Entries ``name : type``, each with its description indented below.

    Returns
    -------
    dict of str to str
        Name -> entry.

    Raises
    ------
    ValueError
        When a line that is not indented does not begin a new entry.
    """
    paragraphs: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", dedent(text).strip()):
        name = re.match(r"\w+(?= : \S)", entry)
        if name is None or name[0] in paragraphs:
            raise ValueError(f"no new entry 'name : type': {entry.splitlines()[0]!r}")
        paragraphs[name[0]] = entry
    return paragraphs


def insert_paragraphs(paragraphs: Mapping[str, str]) -> Callable[[Documented], Documented]:
    """Return a decorator that replaces placeholders in docstrings by paragraphs.

    Parameters
    ----------
    paragraphs : mapping of str to str
        Name -> text. The indentation that all lines of a text share is removed.

    Returns
    -------
    callable
        Decorator of a class or function; it completes ``__doc__`` and returns the same object. It
        does nothing under ``python -OO``, which removes docstrings.

    Raises
    ------
    ValueError
        Raised by the decorator, when a name is not in `paragraphs`, or when a placeholder is not
        alone on its line or is indented more than the summary line.
    """

    def decorate(thing: Documented) -> Documented:
        _complete(thing, paragraphs)
        if inspect.isclass(thing):
            for member in vars(thing).values():
                method = getattr(member, "__func__", member)  # a class method holds a function
                if inspect.isfunction(method):
                    _complete(method, paragraphs)
        return thing

    return decorate


def _complete(thing, paragraphs):
    """Complete the docstring of one class or function."""
    docstring = inspect.cleandoc(thing.__doc__ or "")
    try:
        completed = "\n".join(_completed(line, paragraphs) for line in docstring.splitlines())
    except ValueError as error:
        where = f"{thing.__module__}.{thing.__qualname__}"
        raise ValueError(f"docstring of {where}: {error}") from None
    if completed != docstring:
        # By the rules of numpydoc, the last line of a docstring of several lines is empty.
        thing.__doc__ = f"{completed}\n"


def _completed(line, paragraphs):
    """Return the paragraph for a placeholder, or the line if it is not a placeholder."""
    found = re.search(r"\{([a-zA-Z_]\w*)\}", line)
    if found is None:
        return line
    if found[0] != line:
        raise ValueError(f"{found[0]} must stand alone, indented like the summary, not {line!r}")
    if found[1] not in paragraphs:
        raise ValueError(f"there is no paragraph for {line}")
    return dedent(paragraphs[found[1]]).strip()

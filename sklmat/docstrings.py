"""Paragraphs that several docstrings share, each written once.

The paragraphs stand in a dictionary, name -> text. A docstring asks for one by a line that holds
nothing but the name in braces, and `insert_paragraphs` puts the text there when Python imports the
file. Whatever reads ``__doc__`` (``help``, Sphinx, doctest) finds the docstring complete; who reads
the source finds the names of the parameters, in their order. Of a class, the docstrings of its own
methods are completed too::

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
    """Split a list of parameters or attributes, as numpydoc has it, into its entries.

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
    """Decorate a class or function whose docstring asks for paragraphs.

    Parameters
    ----------
    paragraphs : mapping of str to str
        Name -> text, which is inserted without the indentation that all of its lines have.

    Returns
    -------
    callable
        The decorator; it completes ``__doc__`` of what it is given, and returns that. Under
        ``python -OO`` there is no docstring, and nothing to do.

    Raises
    ------
    ValueError
        By the decorator, when a name is not in `paragraphs`, or does not stand alone on a line with
        the indentation of the whole docstring.
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
        # A docstring of several lines ends in an empty one, by numpydoc's rules.
        thing.__doc__ = f"{completed}\n"


def _completed(line, paragraphs):
    """Return the paragraph that a line asks for, or the line if it asks for none."""
    found = re.search(r"\{([a-zA-Z_]\w*)\}", line)
    if found is None:
        return line
    if found[0] != line:
        raise ValueError(f"{found[0]} must stand alone, indented like the summary, not {line!r}")
    if found[1] not in paragraphs:
        raise ValueError(f"there is no paragraph for {line}")
    return dedent(paragraphs[found[1]]).strip()

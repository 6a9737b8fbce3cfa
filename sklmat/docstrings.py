"""Paragraphs that several docstrings share, each written once.

The paragraphs stand in a dictionary, name -> text. A docstring asks for one by a line that holds
nothing but the name in braces, and `insert_paragraphs` puts the text there when Python imports the
file. Whatever reads ``__doc__`` (``help``, Sphinx, doctest) finds the docstring complete; who reads
the source finds the names of the parameters, in their order::

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
from textwrap import dedent


def parameter_paragraphs(text):
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
    paragraphs = {}
    for entry in re.split(r"\n(?=\S)", dedent(text).strip()):
        name = re.match(r"\w+(?= : \S)", entry)
        if name is None or name[0] in paragraphs:
            raise ValueError(f"no new entry 'name : type': {entry.splitlines()[0]!r}")
        paragraphs[name[0]] = entry
    return paragraphs


def insert_paragraphs(paragraphs):
    """Decorate a class or function whose docstring asks for paragraphs.

    Parameters
    ----------
    paragraphs : dict of str to str
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

    def decorate(thing):
        if thing.__doc__ is not None:
            lines = inspect.cleandoc(thing.__doc__).splitlines()
            try:
                text = "\n".join(_completed(line, paragraphs) for line in lines)
            except ValueError as error:
                where = f"{thing.__module__}.{thing.__qualname__}"
                raise ValueError(f"docstring of {where}: {error}") from None
            # A docstring of several lines ends in an empty one, by numpydoc's rules.
            thing.__doc__ = f"{text}\n"
        return thing

    return decorate


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

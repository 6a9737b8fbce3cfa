"""Docstrings that share paragraphs are complete, and mistakes are found on import."""

import inspect
import subprocess
import sys
from textwrap import dedent

import pytest

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetClassifier, ECNetRegressor
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.estimators._shared_docstrings import CGCNN_PARAGRAPHS, ECNET_PARAGRAPHS

PARAGRAPHS = {
    **parameter_paragraphs("""
        n : int, default=1
            Number of steps. A set such as {"a", "b"}
            goes over two lines.

            A second paragraph.
        verbose : bool
            Show a progress bar.
    """),
    "references": """
        .. [1] Somebody,
           somewhere.
    """,
}


def test_paragraphs_are_inserted_in_the_order_of_the_docstring():
    @insert_paragraphs(PARAGRAPHS)
    def count():
        """Count {"up", "down"}.

        Parameters
        ----------
        {verbose}
        own : int
            Its own.
        {n}

        References
        ----------
        {references}
        """

    assert inspect.getdoc(count) == inspect.cleandoc("""
        Count {"up", "down"}.

        Parameters
        ----------
        verbose : bool
            Show a progress bar.
        own : int
            Its own.
        n : int, default=1
            Number of steps. A set such as {"a", "b"}
            goes over two lines.

            A second paragraph.

        References
        ----------
        .. [1] Somebody,
           somewhere.
    """)


def test_methods_of_a_class_are_completed():
    @insert_paragraphs(PARAGRAPHS)
    class Counter:
        """Count.

        {n}
        """

        @classmethod
        def start(cls):
            """Start.

            {verbose}
            """

        def stop(self):
            """Stop.

            {n}
            """

    assert inspect.getdoc(Counter).endswith("A second paragraph.")
    assert inspect.getdoc(Counter.start).endswith("Show a progress bar.")
    assert inspect.getdoc(Counter.stop) == inspect.cleandoc(f"Stop.\n\n{PARAGRAPHS['n']}")


def test_unknown_names_raise():
    def count():
        """Count.

        {verbos}
        """

    with pytest.raises(ValueError, match=r"test_docstrings.*count: there is no .* \{verbos\}"):
        insert_paragraphs(PARAGRAPHS)(count)


@pytest.mark.parametrize("line", ["    {n}", "See {n}.", "{n} {verbose}"])
def test_names_that_do_not_stand_alone_raise(line):
    def count():
        pass

    count.__doc__ = f"Count.\n\nParameters\n----------\n{line}\n"
    with pytest.raises(ValueError, match=r"\{n\} must stand alone, indented like the summary"):
        insert_paragraphs(PARAGRAPHS)(count)


@pytest.mark.parametrize(
    "text",
    [
        "n : int\nNot indented.",
        "n: int\n    No space before the colon.",
        "n : int\n    One.\nn : int\n    Two.",
    ],
)
def test_what_is_not_a_list_of_parameters_raises(text):
    with pytest.raises(ValueError, match="no new entry"):
        parameter_paragraphs(text)


def test_without_docstrings_nothing_is_inserted():
    code = (
        "from sklmat.docstrings import insert_paragraphs\n"
        "@insert_paragraphs({})\n"
        "class Estimator:\n"
        "    '''{unknown}'''\n"
        "print(Estimator.__doc__)\n"
    )
    command = [sys.executable, "-OO", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "None\n"


@pytest.mark.parametrize(
    ("paragraphs", "regressor", "classifier"),
    [
        (CGCNN_PARAGRAPHS, CGCNNRegressor, CGCNNClassifier),
        (ECNET_PARAGRAPHS, ECNetRegressor, ECNetClassifier),
    ],
)
def test_estimators_share_paragraphs(paragraphs, regressor, classifier):
    counts = {
        name: [inspect.getdoc(each).count(dedent(text).strip()) for each in (regressor, classifier)]
        for name, text in paragraphs.items()
    }
    own = {name for name, count in counts.items() if count != [1, 1]}
    assert own == {"loss", "class_weight", "y_mean_", "y_scale_", "classes_"}
    assert all(sorted(counts[name]) == [0, 1] for name in own)

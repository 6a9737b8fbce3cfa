"""Docstrings follow numpydoc; those that share paragraphs are complete."""

import ast
import inspect
import re
import subprocess
import sys
from textwrap import dedent

import pytest
from test_public_api import DOCS, documented_members, look_up, names_in_the_reference, sections

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


def rules():
    """Checks of numpydoc that are left out; for some checks, the docstrings without them."""
    tree = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    values = {ast.unparse(n.targets[0]): n.value for n in tree.body if isinstance(n, ast.Assign)}
    checks, overrides = (
        ast.literal_eval(values[f"numpydoc_validation_{name}"]) for name in ("checks", "overrides")
    )
    assert "all" in checks, "the others are left out"
    return checks - {"all"}, overrides


def errors_of_numpydoc(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    left_out, overrides = rules()
    report = validate(name)
    for code, message in report["errors"]:
        patterns = overrides.get(code, ())
        if code not in left_out and not any(re.search(p, report["docstring"]) for p in patterns):
            yield code, message


def is_described_by_the_class(name):
    """Whether it is a property without docstring, among the attributes in that of its class."""
    owner, _, attribute = name.rpartition(".")
    attributes = sections(inspect.getdoc(look_up(owner))).get("Attributes", "")
    return re.search(rf"^(\w+, )*{attribute}\b", attributes, re.MULTILINE) is not None


@pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of this copy")
@pytest.mark.parametrize("path", names_in_the_reference() if DOCS.is_dir() else [])
def test_docstrings_are_valid(path):
    errors = [
        f"{name}: {code} {message}"
        for name in documented_members(path)
        for code, message in errors_of_numpydoc(name)
        if not (code == "GL08" and is_described_by_the_class(name))
    ]
    assert errors == []


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

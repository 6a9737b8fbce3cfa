"""Each option of each command with bad values: a message and an exit code, never a traceback."""

import argparse

import pandas as pd
import pytest

from sklmat.cli import main
from sklmat.cli._main import _make_parser

VALUES = [
    "",
    "nonsense",
    "-1",
    "0",
    "0.5",
    "nan",
    "1e300",
    "99999999999999999999",
    "a\nb",
    "é",
    ".",
]
FORMULAS = ["NaCl", "MgO", "Fe2O3", "KCl", "LiF", "CaO"]


def commands():
    parser = _make_parser()
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return actions[0].choices


def options():
    """Name of each command and option that takes a value."""
    return [
        (name, action.option_strings[-1])
        for name, parser in commands().items()
        for action in parser._actions
        if action.option_strings and action.nargs != 0
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    table = pd.DataFrame({"id": list("abcdef"), "formula": FORMULAS, "gap": range(6)})
    table.to_csv(folder / "table.csv", index=False)
    arguments = ["--formula", "formula", "--target", "gap", "--model", "mean"]
    model = folder / "model.sklmat"
    assert main(["fit", str(folder / "table.csv"), *arguments, "--out", str(model)]) == 0
    return folder


def valid_arguments(command, folder):
    table, model, new = (str(folder / name) for name in ("table.csv", "model.sklmat", "new.csv"))
    rows = [table, "--formula", "formula"]
    return {
        "check": [table],
        "compare": [*rows, "--target", "gap", "--models", "mean", "--split", "shuffled"],
        "fit": [*rows, "--target", "gap", "--model", "mean", "--overwrite", "--out", new],
        "predict": [model, *rows, "--overwrite", "--out", new],
        "screen": [model, "--elements", "Na", "Cl", "--overwrite", "--out", new],
    }[command]


def test_all_options_are_found():
    found = options()
    assert {command for command, _ in found} == {"check", "compare", "fit", "predict", "screen"}
    assert len(found) > 30


@pytest.mark.parametrize(("command", "option"), options())
def test_bad_values_of_options(command, option, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    for value in VALUES:
        arguments = [command, *valid_arguments(command, files), f"{option}={value}"]
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        message = capsys.readouterr().err
        assert code in (0, 1, 2)
        assert code != 2 or message.strip(), value
        if value == "":
            assert code == 2, option

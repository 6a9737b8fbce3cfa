"""The example of the README runs, and its commands and links are right."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from readme_example import README, SHORTER, blocks, example_code

from sklmat.cli import main
from sklmat.datasets import make_alloys

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)

    def run(shorter):
        names = {}
        exec(compile(example_code(shorter), "README.md", "exec"), names)
        matplotlib.pyplot.close("all")
        return names

    return run


def test_example_compares_tunes_saves_and_predicts(run_example, tmp_path):
    names = run_example(SHORTER)
    table = names["table"]
    assert list(table.index) == ["CGCNN", "XGBoost"]
    assert sorted(table.predictions["row"]) == list(range(18))
    assert names["winner"] is names["models"][table["MAE mean"].idxmin()]
    assert names["predicted"].shape == (6,)
    np.testing.assert_allclose(names["tuned"].predict(names["new"]), names["predicted"])
    assert (tmp_path / "winner.joblib").exists()
    assert (tmp_path / "parity.png").stat().st_size > 10_000


def test_page_of_ten_lines_has_the_same_code():
    """With other comments."""
    page = ROOT / "docs" / "start" / "ten_lines.md"
    if not page.is_file():
        pytest.skip("the documentation is not part of this copy")
    (code,) = blocks("python", page.read_text(encoding="utf-8"))
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(example_code({})))


@pytest.mark.slow
def test_winner_of_the_example_is_right_about_new_cells(run_example):
    names = run_example({})
    table, new_energies = names["table"], names["energies"][80:]
    assert sorted(table.predictions["row"]) == list(range(80))
    # The winner must know more of cells it has not seen than that they are alloys.
    error = np.abs(names["predicted"] - new_energies).mean()
    assert error < 0.5 * np.abs(names["y"].mean() - new_energies).mean()


def write_folder(name, n_samples):
    """Alloys in the layout of CGCNN, of which some have one composition."""
    Path(name).mkdir()
    alloys = make_alloys(n_samples, ("Ni", "Cu"), n_atoms=4)
    lines = []
    for row, (structure, energy) in enumerate(zip(alloys.data, alloys.target)):
        structure.to(f"{name}/{row}.cif")
        lines.append(f"{row},{energy}\n")
    Path(name, "id_prop.csv").write_text("".join(lines))


def test_lines_for_own_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_folder("my_folder", 12)
    code, _ = blocks("python")
    for text, replacement in {
        "CGCNNRegressor(random_state=0)": "CGCNNRegressor(max_epochs=1, random_state=0)",
        "CompositionGroupKFold(5": "CompositionGroupKFold(3",
    }.items():
        assert code.count(text) == 1
        code = code.replace(text, replacement)
    exec(compile(code, "README.md", "exec"), {})
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    # A long name goes over two lines.
    for name in ("mean", "random forest, composition", "XGBoost, composition"):
        assert f"\n{name}" in table
    assert "CGCNN" in table


def test_commands_for_own_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder("my_folder", 12)
    write_folder("new_folder", 3)
    *_, commands = blocks("bash")
    codes = []
    for line in commands.strip().splitlines():
        program, *arguments = line.split()
        assert program == ".venv/bin/sklmat"
        if arguments[0] == "compare":
            arguments += ["--epochs", "1", "--folds", "2"]
        codes.append(main(arguments))
    # Cells of one composition and energy occur twice, which check says.
    assert codes in ([0, 0, 0, 0], [1, 0, 0, 0])
    assert sorted(path.name for path in Path("results").iterdir()) == [
        "parity.png",
        "predictions.csv",
        "scores.json",
    ]
    assert len(Path("predictions.csv").read_text().splitlines()) == 4


def test_links_work_on_the_package_index():
    """The description of the package has no relative links and pictures."""
    metadata = pytest.importorskip("hatchling.metadata.core")
    plugins = pytest.importorskip("hatchling.plugin.manager")
    pytest.importorskip("hatch_fancy_pypi_readme")
    # What hatchling writes into the wheel and the source archive.
    core = metadata.ProjectMetadata(str(ROOT), plugins.PluginManager()).core
    text = core.readme
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not link.startswith("https://")] == []
    source = core.urls["Source"]
    assert f"]({source}/raw/HEAD/docs/_static/parity.png)" in text
    assert f"]({source}/blob/HEAD/docs/start/install.md)" in text
    assert len(links) == len(re.findall(r"\]\(([^)]+)\)", README))


def test_commands_are_those_of_ci_and_of_the_examples():
    install = 'python -m venv .venv && .venv/bin/pip install "torch==2.13.0" -e '
    first, second, _ = (block.strip() for block in blocks("bash"))
    assert first == install + ". && .venv/bin/python examples/plot_compare_with_xgboost.py"
    assert second == install + '".[test]" && .venv/bin/pytest'
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(targets) > 8
    assert [target for target in targets if not (ROOT / target).exists()] == []

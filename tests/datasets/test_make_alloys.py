"""Data sets: labels against independent arithmetic, downloads against a local server."""

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from pymatgen.core import Composition, Structure
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklmat import datasets
from sklmat.datasets import (
    _alloy_lattices,
    _download,
    _emt,
    check_compositions,
    check_energies,
    check_magnetizations,
    check_moments,
    check_volumes,
    fetch_cgcnn_atom_init,
    fetch_cgcnn_checkpoint,
    fetch_cgcnn_sample,
    fetch_halide_perovskites,
    fetch_hea,
    get_data_home,
    make_alloys,
)

WRONG_MIXING = {
    "FeNi2Cr_sqsbcc",
    "FeNiCr2_sqsbcc",
    "FeNiCoCrPd_sqsbcc",
    "FeNiCoCrMn_sqsbcc",
    "FeCrPd_sqsbcc",
    "Co3Mn_sqsbcc",
    "Fe2NiCr_sqsbcc",
    "Fe31Ni31Co36Cr31Mn31_sqsfcc",
    "Fe31Ni31Co36Cr31Pd31_sqsfcc",
    "FeCoCrMn_sqsfcc",
}
WRONG_MOMENT = {f"{name}_sqsbcc" for name in ("FeCoPd", "FeNiPd", "NiCoPd", "FeCrPd", "NiCrPd")}
WRONG_SPECIES = {"NiCoPd_sqsfcc", "FeCrMn_sqsbcc", "Fe24Ni24Co24Cr24Mn64_sqsfcc"}
WRONG_VOLUME = {
    "NiMn_sqsbcc",
    "Co3Cr_sqsbcc",
    "FeNiPd2_sqsfcc",
    "Fe15Ni15Co15Cr19_sqsfcc",
    "Fe33Ni28Co33Cr33Mn33_sqsfcc",
    "Fe33Ni33Co33Cr28Mn33_sqsfcc",
    "Fe33Ni33Co33Cr28Mn33_sqsbcc",
}
E_FORM, E_MIX, E_TOTAL = (f"{kind} energy (eV/atom)" for kind in ("formation", "mixing", "total"))
MOMENT, CELL_MOMENT = "magnetic moment (μB/atom)", "magnetic moment of the cell (μB)"


@pytest.fixture(scope="module")
def raw(data_home):
    return fetch_hea(corrected=False, data_home=data_home)


@pytest.fixture(scope="module")
def hea(data_home):
    return fetch_hea(data_home=data_home)


@pytest.fixture(scope="module")
def perovskites(data_home):
    return fetch_halide_perovskites(data_home=data_home)


@pytest.fixture(scope="module")
def alloys(tmp_path_factory):
    return make_alloys(100, data_home=tmp_path_factory.mktemp("alloys"))


def formulas(frame):
    return [name.partition("_")[0] for name in frame["name"]]


# --- downloads ---------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A stand-in for the public host, with two registered files, one with a space in its name."""
    origin = tmp_path / "origin"
    content = {"toy/a.txt": b"alpha\n", "toy/folder/b c.txt": b"beta\n"}
    for path, text in content.items():
        file = origin / "owner/repository/commit" / path.partition("/")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    handler = functools.partial(Quiet, directory=origin)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.asked, server.content, server.origin = [], content, origin
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = {path: hashlib.sha256(text).hexdigest() for path, text in content.items()}
    monkeypatch.setattr(_download, "RAW_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(_download, "SOURCES", {"toy": ("owner/repository", "commit")})
    monkeypatch.setattr(_download, "registry", lambda: known)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    yield server
    server.shutdown()
    server.server_close()


def test_download_once(server, tmp_path, capsys):
    home = tmp_path / "home"
    files = _download.fetch_files(list(server.content), home)
    assert [file.read_bytes() for file in files] == list(server.content.values())
    assert sorted(server.asked) == [
        "/owner/repository/commit/a.txt",
        "/owner/repository/commit/folder/b%20c.txt",
    ]
    assert "2/2" in capsys.readouterr().err
    assert _download.fetch_files(list(server.content), home, download_if_missing=False) == files
    assert len(server.asked) == 2


def test_download_resumes_and_repairs(server, tmp_path):
    home = tmp_path / "home"
    first, second = _download.fetch_files(list(server.content), home, verbose=False)
    second.write_bytes(b"bet")
    server.asked.clear()
    with pytest.warns(UserWarning, match=r"b c.txt is damaged: its sha256 is .*, known is "):
        _download.fetch_files(list(server.content), home, verbose=False)
    assert second.read_bytes() == b"beta\n"
    assert first.read_bytes() == b"alpha\n"
    assert server.asked == ["/owner/repository/commit/folder/b%20c.txt"]


def test_download_with_wrong_content_is_refused(server, tmp_path):
    (server.origin / "owner/repository/commit/a.txt").write_bytes(b"something else\n")
    home = tmp_path / "home"
    with pytest.raises(OSError, match=r"1 data file\(s\) missing or damaged") as error:
        _download.fetch_files(list(server.content), home, verbose=False)
    assert not (home / "toy/a.txt").exists()
    # What did arrive is kept, and the next call asks for the rest only.
    assert (home / "toy/folder/b c.txt").read_bytes() == b"beta\n"
    assert "does not match" in str(error.value)


def test_offline_error_says_what_goes_where(server, tmp_path):
    server.shutdown()
    server.server_close()
    home = tmp_path / "home"
    with pytest.raises(OSError) as error:
        _download.fetch_files(list(server.content), home, verbose=False)
    message = str(error.value)
    for path in server.content:
        assert f"{_download.file_url(path)}\n    -> {home / path}\n" in message
    assert f"git clone https://github.com/owner/repository {home / 'toy'}" in message
    assert not (home / "toy").exists()


def test_no_download_when_not_wanted(server, tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False"):
        _download.fetch_files(["toy/a.txt"], tmp_path, download_if_missing=False)
    assert server.asked == []


def test_damaged_file_offline(server, tmp_path):
    _download.fetch_files(["toy/a.txt"], tmp_path, verbose=False)
    (tmp_path / "toy/a.txt").write_bytes(b"alph")
    with pytest.raises(OSError, match=hashlib.sha256(b"alph").hexdigest()):
        _download.fetch_files(["toy/a.txt"], tmp_path, download_if_missing=False)


def test_long_error_is_cut(tmp_path):
    with pytest.raises(OSError, match="and 360 more, by the same pattern") as error:
        fetch_hea(data_home=tmp_path, download_if_missing=False)
    assert len(str(error.value).splitlines()) < 20


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLMAT_DATA", str(tmp_path))
    assert get_data_home() == tmp_path
    assert get_data_home(tmp_path / "other") == tmp_path / "other"
    monkeypatch.delenv("SKLMAT_DATA")
    assert get_data_home().name == "sklmat"


def test_registry_is_pinned_to_public_commits():
    registry = _download.registry()
    assert len(registry) == 399
    assert all(len(sha256) == 64 for sha256 in registry.values())
    assert _download.file_url("perov_cgcnn/Data/Training data for CGCNN.xlsx") == (
        "https://raw.githubusercontent.com/KRICT-DATA/Perov_CGCNN/"
        "991adb016e216020c4dfc0484015cf1565c326b3/Data/Training%20data%20for%20CGCNN.xlsx"
    )


def test_import_is_light():
    heavy = "{'torch', 'ase', 'pooch', 'pandas', 'pymatgen', 'sklearn'}"
    code = f"import sys, sklmat.datasets; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist():
    for name in datasets.__all__:
        assert callable(getattr(datasets, name))
    with pytest.raises(AttributeError, match="no attribute 'fetch_nothing'"):
        _ = datasets.fetch_nothing


# --- high-entropy alloys -----------------------------------------------------------------------


def test_hea_rows(hea, data_home):
    assert len(hea.data) == len(hea.target) == len(hea.frame) == 364
    assert hea.frame["name"].head(2).tolist() == ["NiFe3_sqsfcc", "NiFe_sqsfcc"]
    assert hea.target[:3].tolist() == [0.0136, -0.01616, -0.0366]
    assert hea.frame["phase"].value_counts().to_dict() == {"fcc": 188, "bcc": 176}
    assert hea.frame["formula"].nunique() == 193
    assert set(hea.frame["n_components"]) == {2, 3, 4, 5}
    assert hea.target_names == ["formation_energy"]
    for name, file in zip(hea.frame["name"], hea.frame["file"]):
        assert file.endswith(f"_sqs{name[-3:]}")
        assert (data_home / file).is_file()


def test_hea_cells_have_the_composition_of_the_name(hea, raw):
    names = formulas(hea.frame)
    assert not check_compositions(hea.data, names)["flagged"].any()
    wrong = check_compositions(raw.data, names)["flagged"]
    assert set(raw.frame["name"][wrong]) == WRONG_SPECIES
    assert set(raw.frame["name"][raw.frame["wrong species line"]]) == WRONG_SPECIES


def test_hea_species_are_exchanged_in_place(hea, raw):
    for row in np.flatnonzero(raw.frame["wrong species line"]):
        mended, published = hea.data[row], raw.data[row]
        assert np.array_equal(mended.frac_coords, published.frac_coords)
        assert mended.lattice == published.lattice
        changed = [a.specie != b.specie for a, b in zip(mended, published)]
        assert sum(changed) == (64 if len(mended) == 160 else len(mended) // 3)
        if published.composition.reduced_formula == "Mn2Fe":
            assert [site.specie.symbol for site in mended[::12]] == ["Fe", "Mn", "Cr"]


def test_hea_energies_against_references(raw):
    """Etot = Eform + Σ c μ, with the elemental energies that the data set's notes give."""
    mu = {"Cr": -9.5083, "Mn": -8.9851, "Fe": -8.2372, "Co": -7.0359, "Ni": -5.4684, "Pd": -5.2179}
    names, frame = formulas(raw.frame), raw.frame
    given = check_energies(names, frame[E_TOTAL], frame[E_FORM], references=mu)
    fitted = check_energies(names, frame[E_TOTAL], frame[E_FORM])
    for report in (given, fitted):
        assert frame["name"][report["flagged"]].tolist() == ["FeCrPd_sqsbcc"]
    assert fitted.attrs["references"] == pytest.approx(mu, abs=1e-4)
    residual = fitted["residual (eV/atom)"]
    assert residual.abs().max() == pytest.approx(0.058, abs=1e-3)
    assert residual[~fitted["flagged"]].abs().max() < 1e-5
    assert fitted["checkable"].all()


def test_hea_mixing_energies(raw, hea):
    names = formulas(raw.frame)
    total, phase = raw.frame[E_TOTAL], raw.frame["phase"]
    report = check_energies(names, total, raw.frame[E_MIX], groups=phase)
    assert set(raw.frame["name"][report["flagged"]]) == WRONG_MIXING
    assert report.attrs["references"]["fcc"]["Cr"] == pytest.approx(-9.1176, abs=1e-4)
    mended = check_energies(names, total, hea.frame[E_MIX], groups=phase)
    assert raw.frame["name"][mended["flagged"]].tolist() == ["FeCrPd_sqsbcc"]
    agree = ~report["flagged"]
    assert (hea.frame[E_MIX] - raw.frame[E_MIX])[agree].abs().max() < 2e-5
    # 0.25 Fe + 0.5 Ni + 0.25 Cr, by hand from the elemental energies in bcc.
    row = raw.frame.index[raw.frame["name"] == "FeNi2Cr_sqsbcc"][0]
    unmixed = 0.25 * -8.2372 + 0.5 * -5.3740 + 0.25 * -9.5083
    assert hea.frame[E_MIX][row] == pytest.approx(total[row] - unmixed, abs=1e-4)
    assert abs(raw.frame[E_MIX][row] - hea.frame[E_MIX][row]) == pytest.approx(0.650, abs=1e-3)


def test_hea_moments(raw, hea):
    frame = raw.frame
    report = check_moments(frame[MOMENT], frame[CELL_MOMENT], frame["n_atoms"])
    assert set(frame["name"][report["flagged"]]) == WRONG_MOMENT
    assert np.allclose(hea.frame[MOMENT] * frame["n_atoms"], frame[CELL_MOMENT])
    row = frame.index[frame["name"] == "FeCoPd_sqsbcc"][0]
    assert (frame[MOMENT][row], round(hea.frame[MOMENT][row], 3)) == (2.41, 1.609)


def test_hea_magnetizations(raw):
    report = check_magnetizations(
        formulas(raw.frame),
        raw.frame["magnetization (emu/g)"],
        raw.frame[CELL_MOMENT] / raw.frame["n_atoms"],
        rtol=0.1,
    )
    wrong = {"NiPd_sqsfcc", "NiPd_sqsbcc", "CrPd_sqsbcc"}
    assert set(raw.frame["name"][report["flagged"]]) == wrong
    assert report["relative residual"][report["flagged"]].tolist() == pytest.approx(
        [0.5] * 3, abs=0.02
    )
    assert raw.frame["wrong magnetization"].sum() == 8


def test_hea_volumes(raw):
    report = check_volumes(raw.data, raw.frame["volume (Å³/atom)"])
    assert set(raw.frame["name"][report["flagged"]]) == WRONG_VOLUME


def test_hea_words(raw, hea):
    assert raw.frame["issues"].tolist() == hea.frame["issues"].tolist()
    assert (raw.frame["correction"] == "").all()
    corrected = hea.frame["correction"] != ""
    assert set(hea.frame["name"][corrected]) == WRONG_MIXING | WRONG_MOMENT | WRONG_SPECIES
    row = hea.frame[hea.frame["name"] == "FeCrPd_sqsbcc"].iloc[0]
    assert row["correction"] == "moment per atom recomputed from the moment of the cell"
    assert row["contradictory energies"]
    assert row[E_MIX] == row[f"{E_MIX} as published"]
    pair = hea.frame[hea.frame["maybe swapped with other phase"]]
    assert set(pair["formula"]) == {Composition("Fe33Ni33Co33Cr28Mn33").reduced_formula}
    assert sorted(pair["phase"]) == ["bcc", "fcc"]
    for name in sorted(WRONG_MIXING | WRONG_MOMENT | WRONG_SPECIES | WRONG_VOLUME):
        assert name.partition("_")[0] in hea.DESCR


def test_hea_targets(data_home):
    X, y = fetch_hea(["total_energy", "rmsd"], return_X_y=True, data_home=data_home)
    assert len(X) == 364
    assert y[0].tolist() == [-7.53137375, 0.4047]
    _, published = fetch_hea("mixing_energy", corrected=False, return_X_y=True, data_home=data_home)
    _, mended = fetch_hea("mixing_energy", return_X_y=True, data_home=data_home)
    assert (np.abs(published - mended) > 1e-3).sum() == 9
    with pytest.raises(ValueError, match="unknown target 'energy'; choose from formation_energy,"):
        fetch_hea("energy", data_home=data_home)
    with pytest.raises(ValueError, match="empty list"):
        fetch_hea([], data_home=data_home)


def test_target_does_not_share_memory_with_frame(data_home):
    bunch = fetch_cgcnn_sample(data_home=data_home)
    bunch.target[0] = 99
    assert bunch.frame["number"][0] == 1


# --- perovskites -------------------------------------------------------------------------------


def test_perovskites(perovskites, data_home):
    frame = perovskites.frame
    assert len(perovskites.data) == len(frame) == 3159
    assert perovskites.target[:2] == pytest.approx([-14.4853, -48.668333], abs=1e-6)
    assert frame["formula"].nunique() == 1134
    crystal = perovskites.data[frame.index[frame["name"] == "Cs.Cd.Cd.Cd.Ge.Br"][0]]
    template = Structure.from_file(data_home / "perov_cgcnn/DFT_training_data/POSCAR")
    new = {"Cs": "Cs", "Hf": "Cd", "W": "Cd", "Au": "Cd", "Pt": "Ge", "I": "Br"}
    template.replace_species(new)
    assert crystal == template
    assert [site.specie.symbol for site in crystal[4:8]] == ["Cd", "Cd", "Cd", "Ge"]


def test_perovskite_crystals_are_independent(perovskites):
    first, second = perovskites.data[0].copy(), perovskites.data[1].copy()
    perovskites.data[0].translate_sites([0], [0.1, 0, 0])
    assert perovskites.data[1] == second
    perovskites.data[0].translate_sites([0], [-0.1, 0, 0])
    assert perovskites.data[0] == first


def test_perovskite_targets(data_home):
    bunch = fetch_halide_perovskites("band_type", data_home=data_home)
    assert bunch.target_names == ["indirect", "direct or metallic"]
    assert np.bincount(bunch.target).tolist() == [2603, 556]
    assert ((bunch.frame["band type"] == "Indirect") == (bunch.target == 0)).all()
    _, y = fetch_halide_perovskites(["band_gap", "band_type"], return_X_y=True, data_home=data_home)
    assert y.shape == (3159, 2)
    assert (y[:, 0] == 0).sum() == 180
    assert y[0].tolist() == [0.9137, 1]
    with pytest.raises(ValueError, match="unknown target 'gap'"):
        fetch_halide_perovskites("gap", data_home=data_home)


# --- CGCNN's own -------------------------------------------------------------------------------


def test_cgcnn_sample(data_home):
    bunch = fetch_cgcnn_sample(data_home=data_home)
    assert bunch.target.tolist() == list(range(1, 11))
    assert bunch.frame["formula"].tolist() == [
        *("NaCl", "KCl", "ZnS", "BaTiO3", "TiO2", "C", "CsCl", "Ge", "Si", "C")
    ]
    assert bunch.atom_init.name == "atom_init.json"
    classes = fetch_cgcnn_sample("classification", data_home=data_home)
    assert classes.target.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert classes.data == bunch.data
    with pytest.raises(ValueError, match="unknown target 'both'"):
        fetch_cgcnn_sample("both", data_home=data_home)


def test_cgcnn_files(data_home):
    assert fetch_cgcnn_atom_init(data_home=data_home).is_file()
    path = fetch_cgcnn_checkpoint("band-gap", data_home=data_home)
    assert path == data_home / "cgcnn/pre-trained/band-gap.pth.tar"
    with pytest.raises(ValueError, match=r"no checkpoint 'gap'; choose from band-gap, bulk-moduli"):
        fetch_cgcnn_checkpoint("gap", data_home=data_home)


# --- label checks ------------------------------------------------------------------------------


def test_energy_fit_resists_outliers():
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet([1, 1, 1], size=60)
    mu = np.array([-3.0, -5.0, -8.0])
    alloys = [dict(zip(("Cu", "Ni", "Fe"), row)) for row in fractions]
    e_form = rng.normal(0, 0.05, 60)
    e_total = e_form + fractions @ mu
    wrong = rng.choice(60, 20, replace=False)
    e_total[wrong] += rng.uniform(0.1, 2, 20)  # all to one side, where a mean would follow
    report = check_energies(alloys, e_total, e_form)
    assert sorted(report.index[report["flagged"]]) == sorted(wrong)
    found = report.attrs["references"]
    assert found == pytest.approx(dict(zip(("Cu", "Ni", "Fe"), mu)), abs=1e-9)


def test_energy_row_that_nothing_checks():
    alloys = ["Fe", "Ni", "FeNi", "FeNi3", "FeCo"]
    report = check_energies(alloys, [-8.2, -5.5, -6.85, -6.175, 40.0], np.zeros(5))
    assert report["checkable"].tolist() == [True, True, True, True, False]
    assert not report["flagged"].any()


@pytest.mark.parametrize(
    ("alloys", "total", "options", "message"),
    [
        (["Fe", "Ni"], [1.0], {}, r"total_energy has shape \(1,\), expected \(2,\)"),
        (["Fe", "Ni"], [1.0, np.nan], {}, r"total_energy is not finite in rows \[1\]"),
        (["Fe", "Ni"], [1.0, 2.0], {"references": {"Fe": 1.0}}, "no element 'Ni'"),
        (["Fe"], [1.0], {"references": {"a": {}}, "groups": ["b"]}, "no group 'b'"),
        (["Fe", "Ni"], [1.0, 2.0], {"groups": ["b"]}, "groups has shape"),
        (["Fe", "not one"], [1.0, 2.0], {}, "row 1: 'not one' has no composition"),
        (["Fe", {}], [1.0, 2.0], {}, "row 1: {} has no atoms"),
    ],
)
def test_energy_check_refuses(alloys, total, options, message):
    with pytest.raises(ValueError, match=message):
        check_energies(alloys, total, [0.0] * len(total), **options)


def test_single_alloy_is_refused():
    with pytest.raises(TypeError, match="put it into a list"):
        check_energies("Fe3Ni", [1.0], [0.0])


def test_magnetization_of_iron():
    """2.22 μB/atom is 222 emu/g: 2.22 x 9.274e-21 emu x 6.022e23 / 55.845 g."""
    report = check_magnetizations(["Fe"], [0.0], [2.22])
    assert report["flagged"].tolist() == [True]
    by_hand = 2.22 * 9.274e-21 * 6.022e23 / 55.845
    exact = check_magnetizations(["Fe"], [by_hand], [2.22])
    assert exact["relative residual"][0] == pytest.approx(0, abs=1e-4)
    assert by_hand == pytest.approx(222, abs=0.5)


# --- generated alloys --------------------------------------------------------------------------


def test_alloys_shape(alloys):
    assert len(alloys.data) == len(alloys.ideal) == len(alloys.target) == 100
    frame = alloys.frame
    fractions = frame[["x_Ni", "x_Cu", "x_Pd", "x_Pt"]]
    assert np.allclose(fractions.sum(axis=1), 1)
    assert set(frame["n_components"]) == {2, 3, 4}
    assert ((fractions > 0).sum(axis=1) == frame["n_components"]).all()
    for relaxed, ideal, formula in zip(alloys.data, alloys.ideal, frame["formula"]):
        assert relaxed.species == ideal.species
        assert len(relaxed) == 32
        assert relaxed.composition.reduced_formula == formula
    assert (frame["largest force (eV/Å)"] < 0.05).all()
    assert (frame["relaxation energy (eV/atom)"] <= 0).all()


def test_alloy_label_is_the_energy_of_the_cell(alloys):
    """Against ASE itself: energy of the cell minus that of the pure metals' curves' minima."""
    from ase.build import bulk
    from ase.calculators.emt import EMT

    def metal(symbol):
        edges = np.linspace(0.98, 1.02, 9) * _emt.elemental_references([symbol])[symbol][1]
        energies = []
        for volume in edges:
            atoms = bulk(symbol, "fcc", a=(4 * volume) ** (1 / 3))
            atoms.calc = EMT()
            energies.append(atoms.get_potential_energy())
        return min(energies)

    cell = alloys.data[7].to_ase_atoms()
    cell.calc = EMT()
    expected = cell.get_potential_energy() / 32
    for symbol in ("Ni", "Cu", "Pd", "Pt"):
        expected -= alloys.frame[f"x_{symbol}"][7] * metal(symbol)
    assert alloys.target[7] == pytest.approx(expected, abs=1e-5)
    assert alloys.frame["volume (Å³/atom)"][7] == pytest.approx(cell.get_volume() / 32)


def pair_fractions(alloys, elements):
    """Fractions of first-neighbour bonds between each two elements."""
    rows = []
    for structure in alloys.ideal:
        edge = (structure.volume / 8) ** (1 / 3)
        first, second, *_ = structure.get_neighbor_list(0.8 * edge)
        kind = np.array([elements.index(site.specie.symbol) for site in structure])
        table = np.zeros((len(elements), len(elements)))
        np.add.at(table, (kind[first], kind[second]), 1 / len(first))
        rows.append(table[np.triu_indices(len(elements))])
    return np.array(rows)


def test_composition_does_not_explain_the_target(alloys):
    elements = ["Ni", "Cu", "Pd", "Pt"]
    fractions = alloys.frame[[f"x_{element}" for element in elements]].to_numpy()
    pairs = np.hstack([fractions, pair_fractions(alloys, elements)])
    quadratic = make_pipeline(
        StandardScaler(), PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-6, 2, 9))
    )
    folds = KFold(5, shuffle=True, random_state=0)
    by_composition, by_pairs = (
        cross_val_score(quadratic, X, alloys.target, cv=folds, scoring="r2").mean()
        for X in (fractions, pairs)
    )
    assert by_composition < 0.9
    assert by_pairs > 0.95


def test_order_is_what_it_says():
    """Unlike neighbours: all but third of CuAu at order 1 (L1_0 has 8 of 12), few at -1."""
    bonds = _alloy_lattices.template("fcc", 32)[1]
    assert (bonds.sum(axis=1) == 12).all()
    counts = np.array([16, 16])
    sro = {
        order: np.mean(
            [
                _alloy_lattices.short_range_order(
                    _alloy_lattices.arrange(np.random.default_rng(seed), counts, bonds, order),
                    bonds,
                )
                for seed in range(30)
            ]
        )
        for order in (-1, 0, 1)
    }
    assert sro[0] == pytest.approx(0, abs=0.03)
    perfect = 1 - (8 / 12) / (16 / 31)  # 8 of 12 unlike; 16 of the 31 others are unlike
    assert sro[1] == pytest.approx(perfect, abs=0.05)
    assert sro[-1] > 0.25


def test_swaps_find_the_ground_state():
    """Half and half on bcc, ordered: CsCl's arrangement, in which no two neighbours are equal."""
    bonds = _alloy_lattices.template("bcc", 16)[1]
    assert (bonds.sum(axis=1) == 8).all()
    counts = np.array([8, 8, 0])
    found = [
        _alloy_lattices.arrange(np.random.default_rng(seed), counts, bonds, 1.0)
        for seed in range(10)
    ]
    assert all(np.bincount(species).tolist() == [8, 8] for species in found)
    equal = [bonds[species[:, None] == species].sum() for species in found]
    assert min(equal) == 0
    cscl = found[int(np.argmin(equal))]
    assert _alloy_lattices.short_range_order(cscl, bonds) == pytest.approx(1 - 1 / (8 / 15))


def test_alloys_are_deterministic(alloys, tmp_path):
    again = make_alloys(4, cache=False, n_jobs=2)
    assert again.data == alloys.data[:4]
    assert again.target.tolist() == alloys.target[:4].tolist()
    other = make_alloys(2, cache=False, random_state=1)
    assert other.target.tolist() != alloys.target[:2].tolist()


def test_alloys_are_kept(tmp_path, monkeypatch):
    options = {"n_atoms": 8, "data_home": tmp_path}
    first = make_alloys(3, **options)
    assert len(list((tmp_path / "alloys").iterdir())) == 1
    monkeypatch.setattr(_emt, "relax", None)  # nothing may be computed any more
    second = make_alloys(3, target=["volume", "formation_energy"], **options)
    assert second.data == first.data
    assert second.target[:, 1].tolist() == first.target.tolist()
    with pytest.raises(TypeError):
        make_alloys(3, random_state=5, **options)


def test_damaged_kept_alloys_are_made_anew(tmp_path):
    first = make_alloys(2, n_atoms=8, data_home=tmp_path)
    (file,) = (tmp_path / "alloys").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read and is made anew"):
        again = make_alloys(2, n_atoms=8, data_home=tmp_path)
    assert again.target.tolist() == first.target.tolist()


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "alloys").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be kept for the next time"):
        assert len(make_alloys(1, n_atoms=4, elements=("Cu", "Au"), data_home=tmp_path).data) == 1


def test_alloys_do_not_go_into_the_shared_folder(tmp_path, monkeypatch):
    import pooch

    monkeypatch.setenv("SKLMAT_DATA", str(tmp_path / "shared"))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "own" / name)
    make_alloys(1, ("Cu", "Au"), n_atoms=4)
    assert not (tmp_path / "shared").exists()
    assert len(list((tmp_path / "own/sklmat/alloys").iterdir())) == 1


def test_noise_changes_labels_only():
    clean = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False)
    noisy = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False, noise=0.1)
    assert noisy.data == clean.data
    shift = noisy.target - clean.target
    assert 0.02 < np.std(shift) < 0.3
    twice = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False, noise=0.2)
    assert np.allclose(twice.target - clean.target, 2 * shift)


def test_alloys_of_both_lattices():
    both = make_alloys(6, ("Cu", "Au"), lattice=("fcc", "bcc"), n_atoms=8, order=0.5, cache=False)
    assert set(both.frame["lattice"]) == {"fcc", "bcc"}
    assert (both.frame["order"] == 0.5).all()
    for ideal, kind in zip(both.ideal, both.frame["lattice"]):
        atoms, factor = {"fcc": (4, np.sqrt(1 / 2)), "bcc": (2, np.sqrt(3 / 4))}[kind]
        edge = (ideal.volume / len(ideal) * atoms) ** (1 / 3)
        nearest = ideal.get_neighbor_list(1.01 * factor * edge)[3]
        assert np.allclose(nearest, factor * edge)
        assert len(nearest) == 8 * {"fcc": 12, "bcc": 8}[kind]
    assert "Cu, Au, 8 atoms each, on\nfcc and bcc lattices" in both.DESCR


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a positive integer"),
        ({"elements": ("Cu",)}, "elements must be two or more of"),
        ({"elements": ("Cu", "Fe")}, "elements must be two or more of"),
        ({"elements": ("Cu", "Cu")}, "elements must be two or more of"),
        ({"lattice": "hcp"}, "lattice must be"),
        ({"n_atoms": 30}, "n_atoms=30 is not a multiple of the 4 atoms of a fcc cell"),
        ({"lattice": "bcc", "n_atoms": 2}, "cannot hold 4 elements"),
        ({"order": 2}, "order must be a number or a range between -1 and 1"),
        ({"order": (1, -1)}, "order must be a number or a range between -1 and 1"),
        ({"fmax": 0}, "fmax must be a positive number"),
        ({"noise": -1}, "noise must be a finite number"),
        ({"target": "gap"}, "unknown target 'gap'"),
    ],
)
def test_alloys_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        make_alloys(cache=False, **options)


def test_unfixed_seed_is_not_kept(tmp_path):
    options = {"elements": ("Cu", "Au"), "n_atoms": 4, "data_home": tmp_path}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = np.random.RandomState(3)
        a = make_alloys(2, random_state=state, **options)
        b = make_alloys(2, random_state=np.random.RandomState(3), **options)
        make_alloys(1, random_state=None, **options)
    assert a.target.tolist() == b.target.tolist()
    assert not (tmp_path / "alloys").exists()

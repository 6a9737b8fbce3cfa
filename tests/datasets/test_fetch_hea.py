"""High-entropy alloys: rows, labels and their corrections."""

import numpy as np
import pytest
from pymatgen.core import Composition

from sklmat import label_noise
from sklmat.datasets import (
    check_compositions,
    check_energies,
    check_magnetizations,
    check_moments,
    check_volumes,
    fetch_cgcnn_sample,
    fetch_hea,
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


def formulas(frame):
    return [name.partition("_")[0] for name in frame["name"]]


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


def test_hea_disagreeing_twins(hea):
    """Their lattice after relaxation is that of the structure, not the label of the phase."""
    frame, energies = hea.frame, hea.frame.set_index("name")[E_FORM]
    twins = frame.set_index("name")["disagreeing twin"]
    disagreeing = twins[twins != ""]
    assert len(disagreeing) == 34
    assert twins["Co3Cr_sqsfcc"] == "Co3Cr_sqsbcc"
    # 0.09775 and 0.17464 eV/atom in the published table.
    assert abs(energies["Co3Cr_sqsfcc"] - energies["Co3Cr_sqsbcc"]) == pytest.approx(0.07689)
    for name, twin in disagreeing.items():
        assert twins[twin] == name
        assert name.partition("_")[0] == twin.partition("_")[0]
        assert abs(energies[name] - energies[twin]) >= 0.015


def test_hea_label_noise(hea):
    """What DESCR says, from all pairs."""
    targets = hea.frame[[E_FORM, MOMENT]]
    noise = label_noise(hea.data, targets, disagreement=[0.015, 0.15])
    energy, moment = noise.table.loc[E_FORM], noise.table.loc[MOMENT]
    assert (energy["twin rows"], energy["groups"], energy["pairs"]) == (156, 78, 78)
    assert energy["rms difference"] == pytest.approx(0.0197, abs=5e-5)
    assert energy["noise"] == pytest.approx(0.0139, abs=5e-5)
    assert energy["least RMSE"] == pytest.approx(0.00645, abs=5e-6)
    assert energy["expected RMSE"] == pytest.approx(0.0091, abs=5e-5)
    assert energy["disagreeing rows"] == 34
    assert moment["rms difference"] == pytest.approx(0.154, abs=5e-4)
    listed = noise.disagreeing[noise.disagreeing["target"] == E_FORM]["row"]
    assert set(listed) == set(np.flatnonzero(hea.frame["disagreeing twin"] != ""))

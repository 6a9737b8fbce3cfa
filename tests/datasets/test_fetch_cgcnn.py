"""Files of the original CGCNN."""

import pytest

from sklmat.datasets import fetch_cgcnn_atom_init, fetch_cgcnn_checkpoint, fetch_cgcnn_sample


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
    with pytest.raises(ValueError, match="target must be 'regression' or 'classification'"):
        fetch_cgcnn_sample("both", data_home=data_home)


def test_cgcnn_files(data_home):
    assert fetch_cgcnn_atom_init(data_home=data_home).is_file()
    path = fetch_cgcnn_checkpoint("band-gap", data_home=data_home)
    assert path == data_home / "cgcnn/pre-trained/band-gap.pth.tar"
    with pytest.raises(ValueError, match=r"no checkpoint 'gap'; choose from band-gap, bulk-moduli"):
        fetch_cgcnn_checkpoint("gap", data_home=data_home)

"""Data sets, generated or downloaded, and checks of their labels."""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_make_alloys": ["make_alloys"],
        "_fetch_cgcnn": [
            "fetch_cgcnn_atom_init",
            "fetch_cgcnn_checkpoint",
            "fetch_cgcnn_sample",
        ],
        "_download": ["get_data_home"],
        "_fetch_halide_perovskites": ["fetch_halide_perovskites"],
        "_fetch_hea": ["fetch_hea"],
        "_label_checks": [
            "check_compositions",
            "check_energies",
            "check_magnetizations",
            "check_moments",
            "check_volumes",
        ],
        "_make_mixed_halides": ["make_mixed_halide_perovskites"],
        "_load_mixed_halides": ["load_mixed_halide_perovskites"],
    },
)

"""`cif`: the text of a CIF with given cell, sites and other tags."""

CSCL = ("Cs Cs1 0 0 0 1", "Cl Cl1 0.5 0.5 0.5 1")
NACL = ("Na Na1 0 0 0 1", "Cl Cl1 0.5 0 0 1")
P1 = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n"
COLUMNS = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "occupancy")


def cif(sites=CSCL, cell=(4.1, 4.1, 4.1, 90, 90, 90), symmetry=P1, extra="", columns=COLUMNS):
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_crystal"]
    lines += [f"_cell_{name} {value}" for name, value in zip(names, cell)]
    lines += [extra.strip(), symmetry.strip(), "loop_"]
    lines += [f"_atom_site_{column}" for column in columns]
    return "\n".join(line for line in [*lines, *sites] if line) + "\n"

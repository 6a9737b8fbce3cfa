"""Draw which module of sklmat imports which: ``python docs/make_module_map.py``."""

import ast
import itertools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sklmat"
PICTURE = ROOT / "docs" / "_static" / "module_map.svg"

#: The modules before this one, in the order that the tests keep, are helpers that any other may
#: import; their arrows are not drawn.
FIRST = "structures"


def read_imports():
    """Module -> set of the modules it imports, at the top of a file or inside a function.

    What is imported ``if TYPE_CHECKING`` names types and is never executed: it does not count.
    """
    imports = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        imports.setdefault(module, set())
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            imports[module] |= {n.split(".")[1] for n in names if n.startswith("sklmat.")}
        imports[module].discard(module)
    return imports


def read_order():
    """`MODULES` of ``test_public_api.py``: the order in which modules may import each other."""
    (path,) = ROOT.glob("tests/**/test_public_api.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES":
            return ast.literal_eval(node.value)
    raise ValueError(f"{path} has no list MODULES")


def describe(imports):
    """The imports as text, one line for each module; the picture carries it as its description."""
    lines = [
        f"{module} imports {', '.join(sorted(others)) or 'none'}"
        for module, others in imports.items()
    ]
    return "\n".join(sorted(lines))


def all_above(module, imports):
    """Every module that `module` needs, directly or through others."""
    return set().union(*({other} | all_above(other, imports) for other in imports[module]))


def without_shortcuts(imports):
    """Drop an import that is implied by others: a longer way leads to the same module."""
    return {
        module: {
            other
            for other in others
            if not any(other in all_above(third, imports) for third in others - {other})
        }
        for module, others in imports.items()
    }


def make_rows(imports, order):
    """Rows of a drawing, and the pieces of arrows between neighbouring rows.

    A module stands one row below the lowest of those it imports. An arrow that passes rows gets a
    point in each of them, so that it can go around the modules that stand there.
    """

    def depth(module):
        return 1 + max((depth(other) for other in imports[module]), default=-1)

    rows = [[] for _ in range(1 + max(map(depth, imports)))]
    for module in sorted(imports, key=order.index):
        rows[depth(module)].append(module)
    arrows = []
    for module in sorted(imports, key=order.index):
        for other in sorted(imports[module], key=order.index):
            points = [(other, module, row) for row in range(depth(other) + 1, depth(module))]
            for row, point in enumerate(points, depth(other) + 1):
                rows[row].append(point)
            arrows.append([other, *points, module])
    return rows, arrows


def place(rows, arrows, gap=1.0, narrow=0.35):
    """Horizontal positions, close to the neighbours above and below, with few crossings."""
    pieces = [pair for arrow in arrows for pair in itertools.pairwise(arrow)]
    above = {item: [a for a, b in pieces if b == item] for row in rows for item in row}
    below = {item: [b for a, b in pieces if a == item] for row in rows for item in row}

    def width(item):
        return gap if isinstance(item, str) else narrow

    def spread(row, wanted):
        """Positions in the order of the row, apart from each other and close to what is wanted."""
        x = [wanted[item] for item in row]
        for _ in range(200):
            for i in range(len(row) - 1):
                overlap = x[i] + (width(row[i]) + width(row[i + 1])) / 2 - x[i + 1]
                if overlap > 0:
                    x[i] -= overlap / 2
                    x[i + 1] += overlap / 2
        return dict(zip(row, x))

    def crossings():
        rank = {item: i for row in rows for i, item in enumerate(row)}
        level = {item: i for i, row in enumerate(rows) for item in row}
        return sum(
            (rank[a] - rank[c]) * (rank[b] - rank[d]) < 0
            for (a, b), (c, d) in itertools.combinations(pieces, 2)
            if level[a] == level[c]
        )

    best = crossings()
    for _ in range(20):
        for row in rows:
            for i, j in itertools.combinations(range(len(row)), 2):
                row[i], row[j] = row[j], row[i]
                now = crossings()
                if now < best:
                    best = now
                else:
                    row[i], row[j] = row[j], row[i]
    x = {item: i - len(row) / 2 for row in rows for i, item in enumerate(row)}
    for _ in range(200):
        for row in rows:
            wanted = {}
            for item in row:
                near = [x[other] for other in above[item] + below[item]]
                wanted[item] = sum(near) / len(near) if near else x[item]
            x |= spread(row, wanted)
    return x


def draw(imports, order):
    """The figure."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    helpers = [m for m in imports if order.index(m) < order.index(FIRST)]
    drawn = {m: others - set(helpers) for m, others in imports.items() if m not in helpers}
    rows, arrows = make_rows(without_shortcuts(drawn), order)
    x = place(rows, arrows)
    y = {item: -i for i, row in enumerate(rows) for item in row}

    figure, axes = plt.subplots(figsize=(9, 7.8), layout="constrained")
    axes.axis("off")
    style = {"ha": "center", "va": "center", "fontsize": 11, "zorder": 3}
    box = {"boxstyle": "round,pad=0.4", "facecolor": "#e8f0f8", "edgecolor": "#3b6ea5"}
    for module in drawn:
        axes.text(x[module], y[module], module, bbox=box, **style)
    for arrow in arrows:
        # A curve that leaves and reaches every row vertically.
        vertices, codes = [(x[arrow[0]], y[arrow[0]] - 0.2)], [Curve.MOVETO]
        for item in arrow[1:]:
            x0, y0 = vertices[-1]
            end = (x[item], y[item] + (0.24 if isinstance(item, str) else 0))
            middle = (y0 + end[1]) / 2
            vertices += [(x0, middle), (end[0], middle), end]
            codes += [Curve.CURVE4] * 3
        axes.add_patch(
            FancyArrowPatch(
                path=Curve(vertices, codes),
                arrowstyle="-|>",
                mutation_scale=11,
                color="#666666",
                linewidth=1,
                shrinkA=0,
                shrinkB=0,
            )
        )
    axes.set_xlim(min(x.values()) - 0.7, max(x.values()) + 0.7)
    axes.set_ylim(-len(rows) + 0.6, 0.4)
    names = ", ".join(sorted(helpers))
    text = f"Arrows lead to the modules that import.\nHelpers for all, without arrows: {names}"
    axes.set_title(text, fontsize=10, loc="left")
    return figure


def main():
    """Write the picture, the same for the same imports."""
    import matplotlib

    matplotlib.use("Agg")
    imports = read_imports()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sklmat"}):
        draw(imports, read_order()).savefig(
            PICTURE, metadata={"Description": describe(imports), "Date": None, "Creator": None}
        )
    lines = PICTURE.read_text(encoding="utf-8").splitlines()
    PICTURE.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

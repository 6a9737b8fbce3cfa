"""Draw the decision tree of the page "Which model when": ``python docs/make_which_model.py``.

The picture is narrow and tall, so that it can be read on a phone.
"""

import textwrap
from pathlib import Path

PICTURE = Path(__file__).resolve().parent / "_static" / "which_model.svg"

#: Question, and what to try first if the answer is yes. If it is no, the next question follows.
QUESTIONS = (
    (
        "Do you want to predict materials whose structure you do not know?",
        "Robust Gaussian process on composition and phase, and EFTGAN (fitted on structures)",
    ),
    (
        "Are all crystals orderings of one parent, and are small displacements unimportant?",
        "Ordering model",
    ),
    (
        "Do you need to understand every input of the model?",
        "XGBoost on feature tables, explained by SHAP",
    ),
    (
        "Do you have only tens of labels, for crystals of few elements?",
        "Gaussian process on composition, lattice and volumes, and ECNet",
    ),
    (
        "Do most elements occur in few rows only (mixed chemistry)?",
        "Mean of CGCNN and a Gaussian process on a potential's vectors; without a potential, CGCNN",
    ),
    (
        "Are the crystals alloys of a few elements, with hundreds of labels?",
        "ECNet, and a robust Gaussian process; try the mean of both",
    ),
)
OTHERWISE = "CGCNN: single sites, many structure types, thousands of rows"
ALWAYS = "Whatever the answer: compare with the baselines, on folds that imitate the task"

#: Blue, orange and green of Okabe and Ito, for the edges; their tints, for the boxes.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
TINTS = {BLUE: "#e6f1f7", ORANGE: "#fbeee6", GREEN: "#e6f5f1"}
#: Width of the picture in inches, at which a browser shows it without scaling: 360 px.
WIDTH = 3.75
FONT_SIZE = 9.0
LINE = 0.165


def describe():
    """The tree as text, one line for each question; the picture carries it as its description."""
    lines = [f"{question} Yes: {answer}." for question, answer in QUESTIONS]
    return "\n".join([*lines, f"Otherwise: {OTHERWISE}.", f"{ALWAYS}."])


def draw():
    """The figure."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    rows = [
        (textwrap.wrap(question, 23), textwrap.wrap(answer, 23)) for question, answer in QUESTIONS
    ]
    end, note = textwrap.wrap(OTHERWISE, 23), textwrap.wrap(ALWAYS, 46)
    gap, padding = 0.3, 0.16

    def height_of(lines):
        return LINE * len(lines) + padding

    heights = [max(height_of(left), height_of(right)) for left, right in rows]
    total = sum(heights) + gap * len(rows) + height_of(end) + gap + height_of(note) + 0.1
    figure = plt.figure(figsize=(WIDTH, total))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(-total, 0))
    axes.axis("off")

    def box(x, top, width, height, lines, color):
        axes.add_patch(
            FancyBboxPatch(
                (x, top - height),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=TINTS[color],
                edgecolor=color,
                linewidth=1.2,
            )
        )
        text = "\n".join(lines)
        middle = (x + width / 2, top - height / 2)
        axes.text(*middle, text, ha="center", va="center", fontsize=FONT_SIZE, linespacing=1.15)

    def arrow(start, end, text, place):
        style = {"arrowstyle": "-|>", "color": "#444444", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", end, start, arrowprops=style)
        axes.text(*place, text, fontsize=FONT_SIZE, ha="center", va="center", style="italic")

    left, wide, right, narrow = 0.04, 1.62, 2.04, 1.67
    middle = left + wide / 2
    top = -0.05
    for (question, answer), height in zip(rows, heights):
        box(left, top, wide, height, question, BLUE)
        own = height_of(answer)
        box(right, top - (height - own) / 2, narrow, own, answer, GREEN)
        y = top - height / 2
        x = (left + wide + right) / 2
        arrow((left + wide, y), (right, y), "yes", (x, y + 0.1))
        top -= height + gap
        arrow((middle, top + gap), (middle, top), "no", (middle + 0.18, top + gap / 2))
    box(left, top, wide, height_of(end), end, GREEN)
    top -= height_of(end) + gap
    box(left, top, WIDTH - 2 * left, height_of(note), note, ORANGE)
    return figure


def main():
    """Write the picture, the same for the same questions."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "sklmat"}):
        draw().savefig(
            PICTURE,
            facecolor="white",
            metadata={"Description": describe(), "Date": None, "Creator": None},
        )
    lines = PICTURE.read_text(encoding="utf-8").splitlines()
    PICTURE.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

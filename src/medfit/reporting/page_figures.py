"""Figures as parts of a page: drawn ones as inline SVG, stored ones as small PNG."""

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from medfit.reporting.collect import ReportData
from medfit.reporting.finished_runs import Record
from medfit.reporting.formatting import public

MOST_PIXELS = 1100  # of a stored figure's width
MOST_COLOURS = 64
MOST_PLOTS = 8
MOST_METHODS, MOST_CASES = 4, 3
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters, in the page's own font
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
}
SINGLE = ("overlay", "samples", "nearest_training_images")  # plots that show single patients' images
DRAWN_ANEW = ("calibration", "scores", "decision", "subgroups", "agreement", "patients")
ORDER = ("learning_curves", "roc", "precision_recall", "confusion", "predicted_against_true", "residuals", "overlay")


@dataclass(frozen=True)
class Picture:
    """A stored figure.

    Args:
        title: Below it.
        data: PNG in base64.
        wide: Whether it is much wider than high.
    """

    title: str
    data: str
    wide: bool


def svg(figure: Figure, name: str) -> str:
    """Returns a figure as SVG to put into a page: with ids of its own and no address in it.

    Args:
        figure: To draw.
        name: That no other figure of the page has.
    """
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r' id="[a-zA-Z][\w.]*_\d+"', "", text)  # matplotlib counts from 1 in each figure
    text = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1sans-serif", text)
    text = text.replace("xlink:href", "href")
    return text.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)


def small_png(content: bytes) -> tuple[str, bool]:
    """Returns a PNG with fewer pixels and colours, in base64, and whether it is much wider than high."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if image.width > MOST_PIXELS:
        image = image.resize((MOST_PIXELS, round(image.height * MOST_PIXELS / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(MOST_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode(), image.width > 1.9 * image.height


def of_training(trained: Record | None, cases: bool) -> list[Picture]:
    """Returns a training's plots of the test split, or of validation where the test was not scored.

    Args:
        trained: The training.
        cases: Whether plots that show single patients' images are wanted.
    """
    if trained is None:
        return []
    paths = [path for path in trained.names("plots") if path.endswith(".png")]
    split = "test" if any(_plot(path).startswith("test_") for path in paths) else "val"
    wanted = [path for path in paths if _plot(path).startswith((f"{split}_", "learning_curves"))]
    wanted = [path for path in wanted if _plot(path).removeprefix(f"{split}_") not in DRAWN_ANEW]
    wanted = [path for path in wanted if cases or not any(name in path for name in SINGLE)]
    return _pictures(trained, sorted(wanted, key=_place)[:MOST_PLOTS])


def of_explanations(facts: ReportData) -> tuple[list[Picture], dict[str, str]]:
    """Returns the explained run's figures, summaries first and then cases if wanted, and the gist of each method."""
    if (run := facts.explained) is None:
        return [], {}
    summary = run.json("explanations/summary.json")
    listed = summary.get("cases", []) or (run.kept_cases() if facts.cases else [])
    cases = {f"explanations/{case['file']}": public(case["title"]) for case in listed}
    methods = [path for path in run.names("explanations") if path.endswith(".png") and path not in cases]
    some = list(cases)[:MOST_CASES] if facts.cases else []
    pictures = _pictures(run, [*methods[:MOST_METHODS], *some], cases)
    gist = {str(name): _gist(about) for name, about in summary.get("methods", {}).items()}
    return pictures, gist


def _gist(about: dict[str, object]) -> str:
    trusted = (
        "" if about.get("depends_on_weights", True) else " It explains untrained models much the same: little trust."
    )
    return f"{public(about.get('gist', ''))}.{trusted}"


def _pictures(run: Record, paths: list[str], titles: Mapping[str, str] | None = None) -> list[Picture]:
    made = []
    for path in paths:
        if content := run.read(path):
            words = re.sub("^(train|val|test)_", "", _plot(path)).replace("_", " ")
            title = (titles or {}).get(path, words)
            made.append(Picture(title[:1].upper() + title[1:], *small_png(content)))
    return made


def _plot(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".png")


def _place(path: str) -> tuple[int, str]:
    """Returns where a plot stands: those that say most first."""
    known = [place for place, name in enumerate(ORDER) if name in path]
    return (known[0] if known else len(ORDER), path)

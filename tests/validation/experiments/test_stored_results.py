"""The results that come with the package: what the documentation says of them, and their figures."""

import importlib.util
import json
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from peakedtheory._common.style import new_figure
from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN
from peakedtheory.validation.experiments.registry import EXPERIMENTS, experiment
from peakedtheory.validation.experiments.selection import levels, select
from peakedtheory.validation.report import as_html, as_markdown, make_section, number, verdicts

ROOT = Path(__file__).parents[3]
DATA = ROOT / "validation" / "data"
PAGE = ROOT / "docs" / "reproduction.md"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")

#: Experiments whose theory takes a second or so at the scale of the stored results; one has its own page.
CHEAP = ("entropy", "numerics", "residual-network", "residual-uniform", "pythia")
SLOW = tuple(name for name in EXPERIMENTS if name not in (*CHEAP, "language", "olmo-2"))


def documented():
    """Return scale and rows of the table of every experiment on the page: name -> (scale, rows)."""
    tables = {}
    for heading, body in re.findall(r"^### (.+)\n\n((?:\|.*\n?)+)", PAGE.read_text("utf-8"), re.MULTILINE):
        name, scale = re.search(r"\(`([a-z-]+)`, (\w+)\)$", heading).groups()
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
        assert rows[0] == ["Claim", "Measured", "Theory", "Published", "Band", "Verdict"]
        tables[name] = (scale, rows[2:])
    return tables


def stored(name):
    scale = documented()[name][0]
    data = experiment(name).load(DATA, scale)
    return data, experiment(name).predict(data)


def agrees(shown, printed):
    """Whether two cells are the same to one unit of the last digit: integrators' steps differ between machines."""
    if NUMBER.split(shown) != NUMBER.split(printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(abs(a - b) <= min(quantum(a), quantum(b)) for a, b in (map(Decimal, pair) for pair in pairs))


def quantum(value):
    return Decimal(1).scaleb(value.as_tuple().exponent)


def agrees_with_the_page(name):
    claims, rows = experiment(name).judge(*stored(name)), documented()[name][1]
    stated = [(claim.text, claim.rule, claim.statement) for claim in claims]
    assert stated == [(row[0], *row[-2:]) for row in rows]
    for claim, row in zip(claims, rows, strict=True):
        shown = (
            number(claim.measured, claim.error),
            number(claim.predicted),
            number(claim.published, claim.published_error),
        )
        apart = [pair for pair in zip(shown, row[1:-2], strict=True) if not agrees(*pair)]
        assert not apart, claim.text


def test_cells_agree_to_one_unit_of_their_last_digit():
    assert agrees("0.008495", "0.008496")
    assert agrees("-0.05 ± 0.02", "-0.06 ± 0.02")
    assert agrees("0.061", "0.06099")
    assert agrees("1.2e+03", "1.3e+03")
    assert not agrees("0.008495", "0.008497")
    assert not agrees("0.061", "0.06098")
    assert not agrees("–", "0.1")
    assert not agrees("0.1 ± 0.02", "0.1")
    assert not agrees("0.1", "–")


@pytest.mark.parametrize("name", CHEAP)
def test_documented_numbers_are_those_of_the_stored_results(name):
    agrees_with_the_page(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_other_documented_number(name):
    agrees_with_the_page(name)


def test_every_experiment_has_stored_results_and_a_table():
    scales = {name: scale for name, (scale, _) in documented().items()} | {"language": "quick"}
    assert set(scales) == set(EXPERIMENTS) - {"olmo-2"}  # it needs 55 GB a checkpoint
    assert {path.name for path in DATA.glob("*.nc")} == {f"{name}-{s}.nc" for name, s in scales.items()}


def figure_of(name, key, prediction=None):
    """Draw a figure of the stored results; without a prediction the lines go through the points."""
    data = experiment(name).load(DATA, documented()[name][0])
    (spec,) = [spec for spec in experiment(name).figures if spec.key == key]
    return data, spec.draw(data, data if prediction is None else prediction)


def key_of(figure):
    """Labels of the one key under all panels, which no panel repeats."""
    assert not any(axes.get_legend() for axes in figure.axes)
    (key,) = figure.legends
    return [text.get_text() for text in key.get_texts()]


def points_and_lines(axes):
    points = [line for line in axes.lines if line.get_marker() == "o"]
    lines = [line for line in axes.lines if line.get_marker() == "None" and line.get_linestyle() == "-"]
    return points, lines


def test_figure_4_shows_the_papers_rates_with_units():
    data, figure = figure_of("adam-scan", "4")
    loss, beta, tau = figure.axes
    assert [a.get_xlabel() for a in figure.axes] == ["training step t", "training step t", "dynamic time τ"]
    assert loss.get_ylabel() == tau.get_ylabel() == "test loss L (nats)"
    assert beta.get_ylabel() == "inverse temperature β"
    shown = key_of(figure)
    assert shown[:7] == [
        "training",
        "theory, nothing fitted",
        "η = 0.001",
        "η = 0.0066",
        "η = 0.081",
        "η = 0.53",
        "slope -1/3",
    ]
    assert set(shown[7:]) == {"slope 0.38", "c₀"}
    points, lines = points_and_lines(loss)
    assert len(points) == len(lines) == 4
    case = select(data, beta_star=data["beta_star"].values.max(), teacher=0)[0]
    np.testing.assert_array_equal(points[0].get_xdata(), data["step"].values)
    np.testing.assert_allclose(points[0].get_ydata(), data["loss"].values[case])
    (c0,) = [line for line in beta.lines if line.get_label() == "c₀"]
    # exactly known: the mean of the largest of 128 normals
    assert c0.get_ydata()[0] == pytest.approx(2.5945973686, abs=1e-9)


def test_every_temperature_has_a_panel_with_its_rates():
    data, figure = figure_of("sgd-scan", "14")
    *panels, bar = figure.axes
    stars = levels(data, "beta_star")[::-1]
    assert [a.get_title() for a in panels] == [f"β* = {star:.3g}" for star in stars]
    assert bar.get_ylabel() == "log₁₀ η"
    assert bar.get_ylim() == pytest.approx((-2, 1))
    for axes, star in zip(panels, stars, strict=True):
        points, lines = points_and_lines(axes)
        assert len(points) == len(lines) == levels(data, "learning_rate").size
        seen = data["loss"].values[select(data, beta_star=star, teacher=0)]
        low, high = axes.get_ylim()
        assert 0 < low < high == pytest.approx(1.6 * seen.max())
        assert axes.get_xscale() == axes.get_yscale() == "log"
    assert panels[0].get_ylabel() == "test loss L (nats)"
    assert panels[-1].get_xlabel() == "dynamic time τ"


def test_students_approach_a_small_temperature_exponentially():
    _, figure = figure_of("sgd-scan", "17")
    smallest = figure.axes[0]
    assert smallest.get_xlabel() == "τ/n"
    (law,) = [line for line in smallest.lines if line.get_label() == "exp(-τ/n)"]
    points, _ = points_and_lines(smallest)
    for line in points:
        time, left = line.get_data()
        early = (time < 2) & (left > 0.1)
        expected = np.interp(time[early], *law.get_data())
        np.testing.assert_allclose(left[early], expected, rtol=0.15)


def test_alignment_and_curvature_of_stored_weights():
    data, figure = figure_of("adam-weights", "2")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("projection 1", "projection 2")
    case = int(np.argmin(np.abs(np.log(data["beta_star"].values / 34.1))))
    # the dots of the last time shown lie along the arrows of the teacher
    dots = axes.collections[0].get_offsets()[-24:]
    arrows = data["projected_teacher"].values[case, :24]
    assert np.corrcoef(dots.ravel(), arrows.ravel())[0, 1] > 0.99
    _, curvature = figure_of("adam-weights", "hessian")
    assert [a.get_ylabel() for a in curvature.axes] == [
        "trace of the Hessian", "eigenvalue", "‖∇L‖ (Frobenius)",
    ]  # fmt: skip
    assert (data["hessian_eigenvalue"].diff("eigenvalue").values <= 0).all()


def test_weight_decay_marks_the_best_rate():
    _, figure = figure_of("weight-decay", "5cd")
    labels = key_of(figure)
    assert [label for label in labels if "best" in label] == ["η = 0.056 (best)"]
    assert [label[:9] for label in labels if label.startswith("η")] == [
        "η = 0.001", "η = 0.005", "η = 0.056", "η = 0.1", "η = 0.56",
    ]  # fmt: skip
    assert figure.get_suptitle() == "AdamW, ω = 0.05"


def test_residual_exponents_are_those_of_the_claims():
    data, prediction = stored("residual-uniform")
    _, figure = figure_of("residual-uniform", "uniform-exponents", prediction)
    (axes,) = figure.axes
    largest = experiment("residual-uniform").claims(data, prediction)[0]
    bars = axes.containers[0].lines[0]
    assert bars.get_xdata().tolist() == pytest.approx(levels(data, "beta_star").tolist())
    assert bars.get_ydata()[-1] == pytest.approx(largest.measured)
    assert axes.get_xlabel() == "teacher's inverse temperature β*"


def test_published_residual_students_are_not_judged_by_another_teacher():
    residual = experiment("residual-uniform")
    claims = residual.judge(*stored("residual-uniform"))
    published = [claim for claim in claims if claim.text.startswith("Fig.")]
    assert len(published) == 4
    assert {claim.verdict for claim in published} == {"not tested with the authors' starts"}
    assert "Not the authors' starts" in residual.notes


def test_residual_students_of_the_authors_starts():
    """Losses measured independently, from the same settings: other draws of the same teacher's law."""
    data, _ = stored("residual-network")
    settings = json.loads(data.attrs["settings"])
    assert settings["starts"] == "published"
    assert data["step"].values[-1] == settings["steps"]
    coldest = data["loss"].values[int(np.argmax(data["beta_star"].values))]
    for step, loss in ((100, 3.95), (2000, 0.764)):
        assert np.interp(np.log(step), np.log(data["step"].values), coldest) == pytest.approx(loss, rel=0.05)


@pytest.mark.slow
def test_the_front_figure_is_drawn_from_the_stored_results():
    spec = importlib.util.spec_from_file_location("front_figure", ROOT / "docs" / "front_figure.py")
    front = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(front)
    _, ((left, right),) = new_figure(2)
    front.draw_scan(left)
    front.draw_schedules(right)
    assert [text.get_text() for text in right.get_legend().get_texts()] == list(front.FAMILIES.values())
    points, lines = right.containers, [line for line in right.lines if line.get_marker() == "None"]
    assert len(points) == len(lines) == len(front.FAMILIES)
    for point, line in zip(points, lines, strict=True):
        np.testing.assert_allclose(point.lines[0].get_ydata(), line.get_ydata(), rtol=0.25)


@pytest.mark.parametrize(("plot_format", "link"), [("pdf", "["), ("svg", "![")])
def test_a_section_holds_the_figures_asked_for(plot_format, link, tmp_path):
    numerics = experiment("numerics")
    data = numerics.load(DATA, "paper")
    section = make_section(numerics, data, keys=("9",), folder=tmp_path, plot_format=plot_format)
    assert [key for key, *_ in section.figures] == ["9"]
    assert section.figures[0][-1].startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == [f"figure-9.{plot_format}"]
    lines = as_markdown([section], plot_format).splitlines()
    assert f"{link}Internal energy at high temperature](figure-9.{plot_format})" in lines
    counts = verdicts([section])
    assert sum(counts.values()) == len(section.claims) == 8
    assert f"{counts[HOLDS]} holds, {counts[FAILS]} fails, {counts[OPEN]} {OPEN}." in lines


def test_the_page_serves_a_phone(tmp_path):
    """Contents, one section an experiment with its differences and bands, pictures in a palette."""
    chosen = experiment("entropy")
    data = chosen.load(DATA, "paper")
    section = make_section(chosen, data)
    page = as_html([section])
    assert "<meta name='viewport' content='width=device-width" in page
    assert re.findall(r"<nav>.*href='#entropy'", page, re.DOTALL)
    assert len(re.findall(r"<section id='entropy'>", page)) == 1
    assert "Differences from the authors" in page
    claim = section.claims[0]
    assert f"<td data-label='Band'>{claim.rule}</td>" in page
    picture = section.figures[0][-1]
    assert picture[25] == 3  # the colour type of a PNG with a palette
    assert len(picture) < 40_000

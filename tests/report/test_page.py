"""The page: what it says, that it is whole, that it holds nothing foreign."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from lossmith.study.base.result import Curve, Finding, ReportData
from lossmith.study.report import render, write_report

EVIL = "<script>alert('x')</script> & \"Größe\" 価格 $a_b$"


class Page(HTMLParser):
    """The page's text, tags, ids, and table rows as lists of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.rows = "", [], []
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data

    def row(self, start: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].startswith(start))


def test_the_verdict_states_difference_interval_and_p(switch):
    result, evidence = switch
    rows = [
        replace(
            c,
            score=15_000.0 if c.status == "default" else 13_765.6,
            difference_to_default=-1_234.4 if c.status == "selected" else c.difference_to_default,
            difference_low=-2_000.2 if c.status == "selected" else c.difference_low,
            difference_high=-468.6 if c.status == "selected" else c.difference_high,
        )
        for c in result.candidates
    ]
    text = Page(render(replace(result, candidates=tuple(rows)), evidence)).text
    assert "Switch to huber(delta=0.5)" in text
    assert "MAE is 1,234 lower (8.2\xa0%) than with mae" in text
    assert "95\xa0% interval [−2,000, −469], corrected p < 0.001" in text


def test_a_verdict_of_keep_names_the_default_and_its_best_rival(keep):
    result, evidence = keep
    page = Page(render(result, evidence))
    assert "Keep mae" in page.text
    assert "The best rival is huber(delta=0.5): its MAE is" in page.text
    assert "Not told apart from the chosen loss by this study: huber(delta=0.5)" in page.text


def test_a_chosen_loss_that_is_worse_on_test_rows_is_said_to_be(switch):
    result, evidence = switch
    better = replace(result, test={"default": 10.0, "selected": 9.0})
    worse = replace(result, test={"default": 9.0, "selected": 10.0})
    assert "Here it is not better" not in render(better, evidence)
    assert "Here it is not better" in render(worse, evidence)


def test_why_nothing_is_expected_is_told(keep):
    result, evidence = keep
    alone = replace(result, candidates=tuple(r for r in result.candidates if r.p_value is None))
    assert "nothing that is recorded of other tables under MAE" in render(result, evidence)
    html = render(alone, evidence)
    assert "none of them was measured on all folds" in html
    assert "recorded of other tables" not in html


def test_test_rows_that_were_left_out_are_told(switch):
    result, evidence = switch
    html = render(replace(result, test={**result.test, "rows": 391.0}), evidence)
    assert "391 of 400 untouched rows" in html
    assert "On the 391 of 400 test rows" in html
    assert "400 untouched rows" in render(result, evidence)
    every = {"default_all_rows": 232.24, "selected_all_rows": 230.88}
    html = render(replace(result, test={**result.test, "rows": 391.0, **every}), evidence)
    assert "On all 400 untouched rows, these included, MAE is 232.2 with" in html
    assert "Scores leave out gross errors" not in render(result, evidence)


def test_an_ensemble_of_several_losses_is_told_with_its_score(switch, keep):
    result, evidence = switch
    assert "ensemble" not in render(result, evidence)
    parts = {"mae": 1, "huber(delta=0.5)": 3}
    test = {"default": 20_400.0, "selected": 19_300.0, "ensemble": 18_200.0, "rows": 400.0}
    text = Page(render(replace(result, ensemble=parts, test=test), evidence)).text
    assert "an ensemble of 4 models, 1 of mae, 3 of huber(delta=0.5): chosen among" in text
    said = "On the 400 test rows it scores 18,200, the default 20,400"
    assert f"{said}, the chosen loss 19,300." in text
    result, evidence = keep
    text = Page(render(replace(result, ensemble=parts, test=test), evidence)).text
    assert f"{said}." in text


def test_every_candidate_is_in_the_table_with_its_status(each, html):
    result, _ = each
    page = Page(html)
    for candidate in result.candidates:
        row = page.row(candidate.name)
        expected = {"default": "finished", "selected": "finished"}
        assert row[-1].startswith(expected.get(candidate.status, candidate.status))
        assert candidate.note in row[-1]
    assert page.row("cauchy")[1] == "not finite"
    assert page.row("expectile(level=0.01)")[1].endswith("on 3 of 15 fits")
    assert page.row(result.default)[2] == "0"


def test_every_text_of_the_user_is_escaped(ten_classes):
    result, evidence = ten_classes
    html = render(
        replace(
            result,
            target=EVIL,
            sentence=EVIL,
            command=EVIL,
            diagnosis=(Finding(name=EVIL, value=EVIL, meaning=EVIL),),
            candidates=tuple(replace(c, note=EVIL) for c in result.candidates),
            versions={EVIL: EVIL},
        ),
        replace(evidence, classes=(EVIL,) * 10),
    )
    assert "<script" not in html
    assert Page(html).text.count(EVIL) >= 6 + len(result.candidates) + 10


def test_a_hostile_name_of_a_loss_is_escaped_in_figures_too(switch):
    result, evidence = switch
    named = {c.name: EVIL if c.name == "log_cosh" else c.name for c in result.candidates}
    html = render(
        replace(
            result, candidates=tuple(replace(c, name=named[c.name]) for c in result.candidates)
        ),
        replace(
            evidence,
            curves=tuple(replace(c, name=named[c.name]) for c in evidence.curves),
            outputs=tuple(replace(o, name=named[o.name]) for o in evidence.outputs),
        ),
    )
    assert "<script" not in html


def test_the_page_holds_all_it_needs(html):
    page = Page(html)
    assert not re.search(r"https?:|//cdn|@import|@font-face", html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe", "object")]
    assert len(html.encode()) < 400_000


def test_ids_are_unique_and_every_reference_is_met(html):
    ids = Counter(attributes["id"] for _, attributes in Page(html).tags if "id" in attributes)
    assert ids.most_common(1)[0][1] == 1
    references = set(re.findall(r'(?:href="|url\()#([^")]+)', html))
    assert references <= set(ids)
    assert any(name.startswith("forest-w-") for name in references)


def test_figures_are_labelled_and_tables_have_headings(html):
    page = Page(html)
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) >= 9
    assert all(figure["role"] == "img" and len(figure["aria-label"]) > 20 for figure in figures)
    assert all(attributes["scope"] for tag, attributes in page.tags if tag == "th")


def test_figures_take_their_colours_from_the_page(html):
    figures = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.S))
    assert "var(--chosen)" in figures
    assert not re.search(r"#[0-9a-f]{6}\b(?!-)", figures)
    assert "DejaVu" not in figures


def snippet_of(html: str) -> str:
    return unescape(re.search(r"<pre><code>(import torch.*?)</code></pre>", html, flags=re.S)[1])


def test_the_snippet_runs_as_printed(each, html, tmp_path, monkeypatch):
    result, evidence = each
    chosen = next(o for o in evidence.outputs if o.name == result.selected)
    chosen.loss.save(tmp_path / "loss.json")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(snippet_of(html), names)
    prediction = names["prediction"]
    assert prediction.shape[0] == 512
    assert prediction.isfinite().all()
    if result.task == "regression":
        assert prediction.shape == (512,)
        assert 50_000 < prediction.mean() < 500_000
    else:
        assert prediction.min() >= 0
        assert prediction.max() <= 1
        of_labels = chosen.loss.card.target == "labels"
        assert names["y"].is_floating_point() == of_labels


def test_a_study_without_evidence_still_makes_a_page(each):
    result, _ = each
    bare = tuple(
        replace(c, score=None, low=None, high=None, difference_to_default=None, status="unfinished")
        for c in result.candidates
    )
    html = render(
        replace(result, candidates=bare, test={}, interrupted=True, diagnosis=(), command=""),
        ReportData(),
    )
    page = Page(html)
    assert "Interrupted." in page.text
    assert "there is nothing to compare" in page.text
    assert "<svg" not in html
    assert 'href="#fit"' not in html


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_do_not_break_the_page(switch):
    result, evidence = switch
    lost = tuple(
        replace(c, score=np.inf, low=-np.inf, high=np.inf, difference_low=-np.inf)
        for c in result.candidates
    )
    curves = (Curve(name="mae", epochs=(1, 2), scores=(np.nan, np.inf), best_epoch=1),)
    output = evidence.outputs[0].output * np.nan
    outputs = (replace(evidence.outputs[0], output=output), *evidence.outputs[1:])
    page = Page(
        render(replace(result, candidates=lost), replace(evidence, curves=curves, outputs=outputs))
    )
    assert page.row("mae")[1] == "not finite"


def test_drawing_leaves_no_trace_and_repeats_exactly(keep):
    before = dict(matplotlib.rcParams)
    first, second = render(*keep), render(*keep)
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_the_losses_load_no_matplotlib():
    code = "import sys, lossmith; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_is_utf8(switch, tmp_path: Path):
    write_report(tmp_path / "report.html", *switch)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(*switch)


def test_rows_that_do_not_count_are_left_out_of_the_residuals(switch) -> None:
    result, evidence = switch
    off = np.abs(evidence.test_target - evidence.test_selected)
    kept = off < np.quantile(off, 0.9)
    page = Page(render(result, replace(evidence, test_counted=kept)))
    assert f"{int((~kept).sum())} of {len(kept)} test rows hold gross errors" in page.text
    (row,) = [cells for cells in page.rows if cells and cells[0].startswith("99")]
    assert float(row[-1].strip("± ").replace(",", "")) <= off[kept].max()
    assert "gross errors in the target; they are left" not in Page(render(*switch)).text

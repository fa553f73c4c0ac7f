"""The forecaster's page."""

from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest

from carrousel.models.forecasting.forecaster import Forecaster
from carrousel.report.forecasting import result_lines


class Reader(HTMLParser):
    """Headings and the pictures' titles, and what is loaded from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.loaded: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.inside = tag
        self.loaded += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v[0] != "#"]

    def handle_data(self, data: str) -> None:
        if self.inside in ("h1", "h2", "h3") and data.strip():
            self.headings.append(data.strip())


@pytest.fixture(scope="module")
def model() -> Forecaster:
    hours = pandas.date_range("2020-01-01", periods=300, freq="h")
    waves = np.sin(np.arange(300) / 4)[:, None] + np.array([0.0, 5.0])
    frame = pandas.DataFrame(waves, columns=["<b>naïve", "b"]).assign(hour=hours)
    return Forecaster(horizon=6, epochs=1, hidden_size=4, verbose=0).fit(frame, target="all")


def test_everything_is_on_one_page(model: Forecaster) -> None:
    html = model.report(title="Waves")
    page = Reader(html)
    assert page.headings[0] == "Waves"
    for title in ("The forecast", "How good it is", "Error by step", "Inside the net", "Gates", "Learning curve"):
        assert title in page.headings
    assert "b, from 2020-01-13 06:00" in page.headings
    assert "<b>naïve" not in html
    assert all(address.startswith("data:") for address in page.loaded)
    for line in result_lines(model.metrics_)[1]:
        assert all(text in html for text in line)
    assert escape(model.metrics_["verdict"], quote=False).replace("'", "&#39;") in html


def test_the_page_is_saved_with_the_run(model: Forecaster, tmp_path) -> None:
    html = model.report(tmp_path / "page.html", "Waves")
    assert (tmp_path / "page.html").read_text() == html
    assert (model.save(tmp_path / "run") / "report.html").read_text() == html


def test_numbers_are_short() -> None:
    row = {"model": "LSTM", "mae": 123456.7, "rmse": 0.00123456, "mase": 1.0, "skill": -0.5, "coverage": {"90": 0.876}}
    columns, lines = result_lines({"rows": [row, {**row, "coverage": {}}]})
    assert columns == ("", "MAE", "RMSE", "MASE", "skill", "in 90 % band")
    assert lines == [
        ("LSTM", "123,457", "0.001235", "1.000", "-50.0%", "87.6%"),
        ("LSTM", "123,457", "0.001235", "1.000", "-50.0%", ""),
    ]

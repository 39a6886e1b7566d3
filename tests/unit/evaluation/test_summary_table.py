from typing import Any

from rich.console import Console

from alphamill.cli.trading import comparison
from alphamill.evaluation.summary_table import COLUMNS, summary_table


def test_the_model_comes_first_and_every_row_fits_the_header(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.1, days=60)
    table = summary_table(make_summary(panel, baseline_panels={"12-1 momentum": panel}))
    assert table[0] == COLUMNS
    assert [row[0] for row in table[1:]] == ["model", "equal weight", "12-1 momentum"]
    assert {len(row) for row in table} == {len(COLUMNS)}


def test_cells_carry_units_and_undefined_is_a_dash(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.1, days=60)
    model = dict(zip(COLUMNS, summary_table(make_summary(panel, sharpe=0.5))[1], strict=True))
    assert model["Sharpe"] == "0.50"
    assert model["Return a year"].endswith(" %")
    assert model["RankIC"].startswith("+")
    assert model["Turnover a year"] == ""
    constant = dict(zip(COLUMNS, summary_table(make_summary(panel.with_columns(mean=0.1)))[1], strict=True))
    assert (constant["RankIC"], constant["t"]) == ("–", "–")


def test_the_terminal_shows_every_name_and_number_whole_in_80_columns(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.1, days=60)
    summary = make_summary(panel, baseline_panels={"12-1 momentum": panel, "linear": panel})
    performance = summary.baselines["equal weight"]
    wide = summary.model_copy(update={"baselines": summary.baselines | {"linear": performance}})
    console = Console(width=80)
    with console.capture() as shown:
        console.print(comparison(wide))
    assert "…" not in shown.get()
    for words in (*COLUMNS, *(cell for row in summary_table(wide) for cell in row)):
        assert words in shown.get()

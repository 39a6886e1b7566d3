"""The run's report: one self-contained HTML page for a person."""

from alphamill.evaluation.report.content import DataSection, RunReport, TradingSection
from alphamill.evaluation.report.render import render
from alphamill.evaluation.report.sentences import headline, verdict_paragraph

__all__ = ["DataSection", "RunReport", "TradingSection", "headline", "render", "verdict_paragraph"]

"""No look-ahead, checked: what was known at a time must not change when the bars after it do."""

from alphamill.evaluation.lookahead.audit import Audit
from alphamill.evaluation.lookahead.cuts import cut_points, known_at, perturbed_after
from alphamill.evaluation.lookahead.findings import Finding, Worst, compare
from alphamill.evaluation.lookahead.probes import Probe, check_fills, check_probe, check_purge

__all__ = [
    "Audit",
    "Finding",
    "Probe",
    "Worst",
    "check_fills",
    "check_probe",
    "check_purge",
    "compare",
    "cut_points",
    "known_at",
    "perturbed_after",
]

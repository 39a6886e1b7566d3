"""Stage 2: every bar is accepted, corrected by a named rule, or quarantined with a reason."""

from alphamill.validation.fitness import FitThresholds, require_fit
from alphamill.validation.result import ValidationResult
from alphamill.validation.rules import ROW_RULES, Rule
from alphamill.validation.validate import check_bars, validate

__all__ = ["ROW_RULES", "FitThresholds", "Rule", "ValidationResult", "check_bars", "require_fit", "validate"]

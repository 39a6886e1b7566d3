"""What a running system shows to machines (metrics) and tells people (alerts)."""

from alphamill.monitoring.alerts import Alert
from alphamill.monitoring.metrics import Metrics

__all__ = ["Alert", "Metrics"]

"""One module per technology; the only place that may import it."""

"""What each pipeline step does: one call that wires adapters and runs one stage. Components are doorways to these."""

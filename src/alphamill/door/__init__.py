"""Where bars come in: normalise, validate, journal, merge into the bars table. Knows nothing of portfolios."""

from alphamill.door.checks import BarChecks, door_checks
from alphamill.door.door import Door
from alphamill.door.roster import Roster

__all__ = ["BarChecks", "Door", "Roster", "door_checks"]

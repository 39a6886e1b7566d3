"""kill -9 at any moment leaves a ledger that opens, and in it only whole transactions."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from alphamill.adapters.sql import SqlLedger
from alphamill.adapters.sql.engine import Database
from alphamill.domain.orders import OrderStatus
from alphamill.testing.decisions import commit, sample_decision, sample_settlement

# Says what it is about to do and what is done, so that the test knows what it was promised.
WRITER = """
import datetime as dt
import sys
from alphamill.adapters.sql import SqlLedger
from alphamill.testing.decisions import commit, sample_decision, sample_settlement, sample_spec, settle

ledger = SqlLedger(sys.argv[1])
ledger.register(sample_spec(), dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC))
for number in range(10_000):
    decision = sample_decision(number)
    commit(ledger, decision)
    print("committed", number, flush=True)
    settle(ledger, sample_settlement(decision))
    print("settled", number, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_writer_leaves_whole_decisions_and_keeps_its_promises(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    url = f"sqlite:///{tmp_path}/ledger.db"
    promised = _write_until_killed(url, lines=rng.randrange(1, 60), delay_secs=rng.uniform(0, 0.01))
    with Database(url).read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    ledger = SqlLedger(url)
    reader = ledger
    found = reader.decisions("demo")
    assert found == [sample_decision(number) for number in range(len(found))]
    settled = reader.nav_points("demo")
    assert len(found) - len(settled) in (0, 1)
    assert settled == [sample_settlement(decision).nav for decision in found[: len(settled)]]
    assert len(found) >= promised["committed"]
    assert len(settled) >= promised["settled"]
    for number, decision in enumerate(found):
        trail = ledger.trail(decision.orders[0].id)
        whole = OrderStatus.FILLED if number < len(settled) else OrderStatus.PENDING
        assert (trail.order.status, len(trail.fills)) == (whole, int(number < len(settled)))
    record = ledger.record("demo")
    assert record.last_decision_at == found[-1].decided_at
    if settled:
        assert record.cash_usd == settled[-1].cash_usd
    commit(ledger, sample_decision(len(found)))
    ledger.close()


def _write_until_killed(url: str, *, lines: int, delay_secs: float) -> dict[str, int]:
    """Kill the writer a moment after its n-th line; how many of each it had said were done."""
    child = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    with pytest.raises(subprocess.TimeoutExpired):  # it is still writing
        child.wait(delay_secs)
    child.kill()
    rest, _ = child.communicate(timeout=10)
    said += rest.splitlines()
    return {word: sum(line.startswith(word) for line in said) for word in ("committed", "settled")}

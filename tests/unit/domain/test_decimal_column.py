from decimal import Decimal

import numpy as np
import pytest

from alphamill.adapters.sql.engine import to_json
from alphamill.domain.decimal_column import DecimalColumn

PLACES = {"B": 0, "A": 1, "C": 2}


def test_a_column_reads_as_the_dict_of_its_shortest_decimals() -> None:
    column = DecimalColumn(PLACES, np.array([0.1, 1e-9, 100.0]), {"C": Decimal(0)})
    same = {"B": Decimal("0.1"), "A": Decimal("1E-9"), "C": Decimal(0)}
    assert column == same
    assert same == column
    assert repr(column) == repr(same)
    assert (list(column), len(column), "A" in column, "D" in column) == (["B", "A", "C"], 3, True, False)
    assert column["A"] is column["A"]
    assert to_json({"prices": column}) == to_json({"prices": same})


def test_unknown_symbol_and_value_that_is_no_number_are_errors() -> None:
    with pytest.raises(KeyError):
        DecimalColumn(PLACES, np.ones(3))["D"]
    with pytest.raises(ValueError, match="not finite"):
        DecimalColumn(PLACES, np.array([1.0, np.nan, 1.0]))

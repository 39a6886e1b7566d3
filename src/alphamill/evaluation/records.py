"""The base of everything measured: frozen, and honest in JSON."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record of numbers. NaN and inf are written as strings: null would hide them from the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

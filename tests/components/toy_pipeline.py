"""Two small steps to run `adapters.kfp_local` with; the second fails when told to."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def add_one(number: int) -> int:
    from alphamill.adapters.files.progress import report_progress

    report_progress("ingest", 1, 1, f"{number} + 1")
    return number + 1


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def check_small(number: int, how: str) -> str:
    import os
    import time
    from pathlib import Path

    from alphamill.errors import DataUnfit

    if how == "refuse":
        raise DataUnfit(f"{number} is too large.", remedy="Take a smaller one.")
    if how == "divide":
        return str(number / 0)
    if how == "exit":
        os._exit(3)
    if how.startswith("wait:"):
        Path(how.removeprefix("wait:")).write_text(str(os.getpid()))
        time.sleep(600)
    return f"{number} is fine"


@dsl.pipeline(name="toy")
def toy(number: int, how: str = "accept"):
    added = add_one(number=number)
    check_small(number=added.output, how=how)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def is_even(number: int) -> bool:
    return number % 2 == 0


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def is_even_by_name(number: int) -> NamedTuple("Parity", [("even", bool)]):
    return (number % 2 == 0,)


@dsl.pipeline(name="branch")
def branch(number: int):
    even = is_even(number=number)
    with dsl.If(even.output == True):  # noqa: E712 kfp builds a condition
        add_one(number=number)


@dsl.pipeline(name="named")
def named(number: int):
    even = is_even_by_name(number=number)
    with dsl.If(even.outputs["even"] == True):  # noqa: E712 kfp builds a condition
        add_one(number=number)

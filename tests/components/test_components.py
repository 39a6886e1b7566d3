"""Components are doorways: short, one library call, and the library function has the same inputs."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from kfp.dsl import Artifact

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("components/*/component.py"))


def component(name: str):
    return getattr(importlib.import_module(f"components.{name}.component"), name)


def test_every_step_of_the_library_has_a_component() -> None:
    steps = ("ingest_bars", "validate_bars", "build_features", "materialize_features", "tune_model", "train_model")
    assert sorted((*steps, "backtest_model", "register_model", "deploy_model")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_component_is_a_doorway(name: str) -> None:
    source = (ROOT / "components" / name / "component.py").read_text()
    assert len(source.splitlines()) <= 40
    assert "from __future__ import annotations" not in source  # kfp reads the annotations as types
    (function,) = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    imported, returned = function.body
    assert isinstance(imported, ast.ImportFrom)
    assert imported.module == f"alphamill.steps.{name}"
    assert isinstance(returned, ast.Return)
    calls = [node for node in ast.walk(returned) if isinstance(node, ast.Call)]
    assert [call.func.id for call in calls if isinstance(call.func, ast.Name)] == [name]
    assert len(calls) == 1


@pytest.mark.parametrize("name", NAMES)
def test_component_takes_what_the_library_function_takes(name: str) -> None:
    step = getattr(importlib.import_module(f"alphamill.steps.{name}"), name)
    takes = inspect.signature(component(name).python_func).parameters.values()
    # Keywords are for a caller in the same process: settings and the clock. A component has those of its pod.
    parameters = [p for p in inspect.signature(step).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert len(takes) == len(parameters)
    for ours, theirs in zip(takes, parameters, strict=True):
        if ours.annotation in (int, str, bool, float):
            assert ours.annotation is theirs.annotation, ours.name
        else:
            assert issubclass(ours.annotation.__origin__, Artifact)


@pytest.mark.parametrize("name", NAMES)
def test_component_installs_nothing_when_it_runs(name: str) -> None:
    container = component(name).component_spec.implementation.container
    assert "pip install" not in " ".join(map(str, container.command))

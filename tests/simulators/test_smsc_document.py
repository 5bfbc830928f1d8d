"""docs/smsc-simulator.md names every setting, and its example is accepted."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from simulators.smsc.settings import Fault, Rule, Settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "smsc-simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Settings, Rule, Fault])
def test_every_setting_is_named(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}" not in DOCUMENT] == []


def test_the_example_is_accepted() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example is not None
    settings = Settings.model_validate(tomllib.loads(example[1]))
    assert settings.rule_for("01000009999").stat == "UNDELIV"
    assert len(settings.faults) == 1

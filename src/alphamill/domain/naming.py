"""Which names a symbol, a registered model and its aliases may have: the same rule at every door."""

import re
from typing import Final

from alphamill.errors import InvalidConfig

SYMBOL: Final = r"^[A-Z0-9^][A-Z0-9._/=^-]{0,31}$"
MODEL_NAME: Final = r"^[a-z][a-z0-9-]{0,40}$"
ALIAS: Final = r"^[a-z][a-z0-9_-]{0,62}$"

#: Names that would be read as a version.
_RESERVED: Final = r"^(v\d+|latest)$"


def check_model_name(name: str) -> None:
    """`InvalidConfig` unless `name` can name a model, a folder and an inference service."""
    if not re.fullmatch(MODEL_NAME, name):
        raise InvalidConfig(
            f"{name!r} cannot name a model.",
            field="name",
            remedy="Use lower-case letters, digits and '-', starting with a letter, at most 41.",
        )


def check_alias(alias: str) -> None:
    """`InvalidConfig` unless `alias` can name a version and is not read as one."""
    if not re.fullmatch(ALIAS, alias) or re.fullmatch(_RESERVED, alias):
        raise InvalidConfig(
            f"{alias!r} cannot be an alias.",
            field="alias",
            remedy="Use a word in lower case such as champion; not latest, not v1.",
        )

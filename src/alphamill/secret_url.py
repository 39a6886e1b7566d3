"""Addresses that may carry a password: what is printed of them never shows it."""

import re
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr

_HIDDEN: Final = "***"
#: Up to the last @: a password that holds one, or a slash, unescaped, is hidden whole.
_WITH_PASSWORD: Final = re.compile(r"^([\w+.-]+://[^:/@?#]*):.*@", re.DOTALL)
#: A user without a password is a token where the web is asked.
_TOKEN: Final = re.compile(r"^(https?://)[^:/@?#]+@")
_NAME: Final = r"[^=&\s]*(?:password|passwd|secret|token|key|sig|credential)[^=&\s]*"
_SECRET_OPTION: Final = re.compile(rf"([?&]{_NAME}=)[^&]*", re.IGNORECASE)
_OPTION_IN_TEXT: Final = re.compile(rf"([?&]{_NAME}=)[^&\s'\"<>]*", re.IGNORECASE)
_IN_TEXT: Final = re.compile(r"([\w+.-]+://)[^\s'\"<>@]*@")


def masked(url: str) -> str:
    """`url` without its password, token or secret options; a folder stays as it is.

    What is no URL and could hold a secret, ``host=h password=p`` for instance, is hidden whole.
    """
    if "://" not in url:
        return _HIDDEN if re.search(r"[@=]", url) else url
    shown = _TOKEN.sub(rf"\1{_HIDDEN}@", _WITH_PASSWORD.sub(rf"\1:{_HIDDEN}@", url))
    return _SECRET_OPTION.sub(rf"\1{_HIDDEN}", shown)


def password_of(url: str) -> str:
    """The password in `url` as it is written there; empty without one."""
    found = re.match(r"^[\w+.-]+://[^:/@?#]*:(.*)@", url, re.DOTALL)
    return found[1] if found else ""


def masked_text(text: str) -> str:
    """`text` with user part and secret options of every URL in it hidden: for what is printed, whoever wrote it."""
    return _OPTION_IN_TEXT.sub(rf"\1{_HIDDEN}", _IN_TEXT.sub(rf"\1{_HIDDEN}@", text))


def without_secret(error: Exception, *secrets: str) -> Exception:
    """What to raise from when a library's error quotes one of `secrets` (URLs): its class and its text, masked.

    The error itself if neither it nor what it came from holds one: a traceback shows the whole chain.
    """
    passwords = {password_of(url) for url in secrets} - {""}
    hidden = dict.fromkeys(passwords | set(map(unquote, passwords)), _HIDDEN) | {
        url: masked(url) for url in secrets if url
    }
    chain: list[BaseException] = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    if not any(secret in f"{link} {link!r}" for link in chain for secret in hidden if secret != hidden[secret]):
        return error
    text = f"{type(error).__name__}: {error}"
    for secret, shown in sorted(hidden.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(secret, shown)
    return RuntimeError(masked_text(text)).with_traceback(error.__traceback__)


class SecretUrl(SecretStr):
    """A URL whose password shows nowhere: not in ``str``, ``repr``, a dump or an error. `get_secret_value` has it."""

    def _display(self) -> str:
        return masked(self.get_secret_value())


class HiddenUrl(SecretStr):
    """A URL of which only the scheme is shown: notification services put tokens anywhere in theirs."""

    def _display(self) -> str:
        scheme, found, _ = self.get_secret_value().partition("://")
        return f"{scheme}://{_HIDDEN}" if found else _HIDDEN

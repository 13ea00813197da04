"""What the user has said about the network: keys and a contact, by the environment or a file.

`config.toml` in the config folder, with a table `[online]`; a variable of the environment comes
first. Values are used by the door alone and shown masked.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places

FILE = "config.toml"
TABLE = "online"
FIELDS = {"NCBI_API_KEY": "ncbi_api_key", "BIORETRIEVAL_CONTACT": "contact"}
"""Variable of the environment -> field of the table."""
_MOST_BYTES = 2**20
# They go into headers and forms as they are.
_VALUE = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it was said: a variable's name or the file's path."""

    value: str
    origin: str


def setting(variable: str) -> Setting | None:
    """What is said under `variable` in the environment, else in the file; None if nothing is.

    Raises:
        BioRetrievalError: the file cannot be read, or a value is none that can be sent.
    """
    said = os.environ.get(variable, "").strip()
    if said:
        return _sound(said, variable, variable)
    field = FIELDS.get(variable)
    path = places().config / FILE
    value = _table(path).get(field) if field else None
    if value is None or value == "":
        return None
    return _sound(value, str(path), f"{field} in {path}")


def masked(value: str) -> str:
    """A key as it may be shown: its last two characters, where it is long enough to spare them."""
    return "*" * 8 + (value[-2:] if len(value) >= 16 else "")


def _sound(value: object, origin: str, name: str) -> Setting:
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise BioRetrievalError(
            f"{name} is no word of up to 200 plain characters", remedy="correct it, or take it out"
        )
    return Setting(value, origin)


def _table(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES).decode("utf-8")
        found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BioRetrievalError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        # The parser's own words may quote the line, which may hold a key.
        raise BioRetrievalError(
            f"{path} is no TOML",
            remedy=f'write a table [{TABLE}] with lines such as contact = "..."',
        ) from error
    table = found.get(TABLE, {})
    return table if isinstance(table, dict) else {}

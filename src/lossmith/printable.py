"""Text of strangers, made safe for a terminal."""

import re

# C0, DEL and C1; soft hyphen; zero width space and marks of direction; separators of lines;
# overrides of direction; invisible operators; lone surrogates; byte order mark; tags. Joiners
# (U+200C, U+200D) stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return text with what would steer a terminal, or hide in it, written as escapes.

    >>> print(printable("a\x1b[31mb\tc"))
    a\x1b[31mb\tc
    """
    return _UNSAFE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

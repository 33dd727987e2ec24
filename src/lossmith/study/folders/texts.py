"""Texts read as UTF-8, what of them is seen, and their n-grams as numbers."""

import codecs
import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from lossmith.study.base.errors import InputError

SEEN = 2048  # bytes of UTF-8 from a text's beginning; what follows is not read
BUCKETS = 2**15  # that n-grams share
LENGTHS = (3, 4, 5)  # of the n-grams of characters within a word
MARKS = r"!-/:-@\[-`{-~¡-¿\u2010-\u205e\u3001-\u303f"
# Scripts that put no space between words: each character is a word.
SPACELESS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(f"[{MARKS}{SPACELESS}]|[^\\s{MARKS}{SPACELESS}]+")


def read_text(file: Path) -> str:
    """Return the beginning of a text.

    Raises:
        InputError: if it can't be read, is no UTF-8, is binary or holds nothing.
    """
    try:
        with file.open("rb") as opened:
            found = opened.read(SEEN + 1)
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        text = decoder.decode(found[:SEEN], final=len(found) <= SEEN)  # cut between characters
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is no UTF-8 (byte {found[error.start]:#04x} at {error.start:,}); save texts "
            "as UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(f"{file} is no text: it holds NUL, as UTF-16 does; save texts as UTF-8")
    if not text.strip():
        raise InputError(f"{file} holds no text; remove it")
    return text


def n_grams(text: str) -> list[str]:
    """Return each n-gram of a text once: words, pairs of words, and characters within words.

    >>> n_grams("Ham, ham")
    ['<ham>', '<,>', '<ham><,>', '<,><ham>', '<ha', 'ham', 'am>', '<ham', 'ham>']
    """
    words = [f"<{word}>" for word in WORD.findall(unicodedata.normalize("NFKC", text).casefold())]
    found = [*words, *(one + other for one, other in pairwise(words))]
    for word in words:
        found += _within(word)
    return list(dict.fromkeys(found))


@lru_cache(maxsize=100_000)
def _within(word: str) -> tuple[str, ...]:
    return tuple(
        word[start : start + length]
        for length in LENGTHS
        if len(word) > length
        for start in range(len(word) - length + 1)
    )


def n_gram_codes(texts: Sequence[str]) -> np.ndarray:
    """Return the n-grams of texts, hashed to 1 to 32,768; 0 fills rows up to the longest."""
    rows = [[1 + zlib.crc32(one.encode()) % BUCKETS for one in n_grams(text)] for text in texts]
    return _filled(rows, max(map(len, rows)), np.int32)


def byte_codes(texts: Sequence[str]) -> np.ndarray:
    """Return the bytes of texts in UTF-8, (N, 2048); 0 fills them up."""
    return _filled([list(text.encode()) for text in texts], SEEN, np.uint8)


def _filled(rows: list[list[int]], length: int, kind: type[np.generic]) -> np.ndarray:
    found = np.zeros((len(rows), length), kind)
    for row, codes in enumerate(rows):
        found[row, : len(codes)] = codes
    return found

"""A formula in LaTeX as one line of text, for a terminal.

It knows the part of LaTeX that the docstrings of losses use; a test holds that no command is left.
"""

import re
import unicodedata

_SYMBOLS = {
    "lambda": "λ", "varphi": "φ", "varepsilon": "ε",  # the other Greek ones by their name
    "ell": "ℓ", "sum": "∑", "prod": "∏", "int": "∫", "infty": "∞", "partial": "∂", "nabla": "∇",
    "cdot": "·", "le": "≤", "ge": "≥", "ne": "≠", "in": "∈", "cup": "∪", "cap": "∩",
    "setminus": "∖",
    "mid": "|", "propto": "∝", "ldots": "…", "dots": "…", "pm": "±", "mp": "∓", "otimes": "⊗",
    "leftarrow": "←", "to": "→", "top": "ᵀ", "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖",
    "lvert": "|", "rvert": "|", "lfloor": "⌊", "rfloor": "⌋", "{": "{", "}": "}", "_": "_",
    "quad": " ", "qquad": "; ", ",": "", ";": " ", " ": " ", "!": "", ":": " ",
}  # fmt: skip
_SIZES = [
    "left",
    "right",
    "big",
    "Big",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "bigg",
    "Bigg",
    "textstyle",
    "displaystyle",
]
_STYLES = ["mathrm", "text", "operatorname", "mathcal", "mathbf", "textstyle"]
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
_RAISED = dict(zip("0123456789+-n()T*", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ⁽⁾ᵀ*", strict=True)) | {"−": "⁻", "ᵀ": "ᵀ"}
_LOWERED = dict(zip("0123456789aeijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_ROLE = re.compile(r":math:`([^`]*)`")
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\s+|.")
_FUNCTION = re.compile(r"\b(log|exp|cos|max|min|tanh|cosh|arctan|arg)(?=[^\W\d_₀-₉]|[∏∑])")
_ATOM = re.compile(r"[\w∞ℓ\u0300-\u036f]+|[\w]*\([^()]*\)|\|[^|]*\||‖[^‖]*‖")


def as_text(latex: str) -> str:
    r"""Return LaTeX as text.

    >>> as_text(r"\ell(x, y) = \frac{(x - y)^2}{2 \sigma^2}")
    'ℓ(x, y) = ((x − y)²)/(2 σ²)'
    """
    text = _FUNCTION.sub(r"\1 ", _sequence(_TOKEN.findall(latex)))
    return re.sub(r" +", " ", text).strip().replace(" ,", ",").replace(" ;", ";")


def readable(text: str) -> str:
    r"""Return prose with the formulas that stand in it as text.

    >>> readable(r"the mean :math:`\mu` of the noise")
    'the mean μ of the noise'
    """
    return _ROLE.sub(lambda found: as_text(found[1]), text)


def _sequence(tokens: list[str], closing: str | None = None) -> str:
    """Return what tokens say up to a closing one; they are taken off the list."""
    parts: list[str] = []
    while tokens:
        token = tokens.pop(0)
        if token == closing:
            break
        parts.append(_one(token, tokens, parts))
    return "".join(parts)


def _one(token: str, tokens: list[str], before: list[str]) -> str:
    if token == "{":
        return _sequence(tokens, "}")
    if token in "^_" and token.strip():
        return _script(_argument(tokens), token == "^")
    if token == "-":
        return "−"
    if token == "&":
        return " if "
    if not token.startswith("\\"):
        return " " if token.isspace() else token
    return _command(token[1:], tokens, before)


def _command(name: str, tokens: list[str], before: list[str]) -> str:
    if name in ("frac", "tfrac", "dfrac"):
        above, below = _argument(tokens), _argument(tokens)
        return f"{_grouped(above)}/{_grouped(below)}"
    if name == "sqrt":
        return f"√{_grouped(_argument(tokens))}"
    if name == "overline":
        return f"mean({_argument(tokens)})"
    if name in _ACCENTS:
        letter = _argument(tokens)
        return letter + _ACCENTS[name] if len(letter) == 1 else f"{name}({letter})"
    if name in ("begin", "end"):
        _argument(tokens)
        return "{ " if name == "begin" else " }"
    if name == "\\":
        return "; "
    if name in _SIZES:
        return ""
    if name in _STYLES:
        return _argument(tokens)
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    return _greek(name) or _function(name, before)


def _greek(name: str) -> str | None:
    """Return a Greek letter by its name, a capital one where the name starts with one."""
    case = "CAPITAL" if name[:1].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name}")
    except KeyError:
        return None


def _function(name: str, before: list[str]) -> str:
    """Return a function's name, log or max, apart from what stands before it."""
    letter = bool(before) and before[-1][-1:].isalnum()
    return f" {name}" if letter else name


def _argument(tokens: list[str]) -> str:
    while tokens and (tokens[0].isspace() or tokens[0] == "*"):
        tokens.pop(0)
    token = tokens.pop(0)
    return _sequence(tokens, "}") if token == "{" else _one(token, tokens, [])


def _script(text: str, raised: bool) -> str:
    """Return an index: small letters where there are such, else after ^ or _."""
    small = _RAISED if raised else _LOWERED
    if all(letter in small for letter in text):
        return "".join(small[letter] for letter in text)
    mark = "^" if raised else "_"
    return f"{mark}{text}" if _ATOM.fullmatch(text) or len(text) == 1 else f"{mark}({text})"


def _grouped(text: str) -> str:
    text = text.strip()
    return text if _ATOM.fullmatch(text) or len(text) == 1 else f"({text})"

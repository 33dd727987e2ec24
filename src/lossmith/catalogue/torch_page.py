"""The page for who comes from torch.nn: its losses, what they are here, and in what they differ."""

import sys
from pathlib import Path

from lossmith.catalogue.from_torch import PEERS
from lossmith.catalogue.lookup import find

HEAD = """# From torch

Made by `make pages` from the table in `lossmith.catalogue.from_torch`; tests compare its rows with
torch.

`loss(input, target)` reads what a loss of `torch.nn` reads, in the same shapes, and gives the mean.
What is the same in all rows:

- **`reduction`, `size_average`.** There are none: a loss gives the weighted mean. The sum is
  `loss(input, target, denominator=1)`; values without a reduction are `loss.values(input, target)`.
- **`weight`.** Weights of rows or elements are an argument of the call, `loss(input, target,
  weight=weight)`: 2 equals the sample twice, and the mean divides by their sum. `denominator`
  divides by something else.
- **Arguments** are given by name: `Huber(delta=2.0)`.
- **Shapes** must fit exactly; torch broadcasts (N, 1) against (N,) with a warning at most. Classes
  are in dimension 1, as in torch: logits (batch, time, classes) need `input.movedim(-1, 1)`.
- **`ignore_index`** leaves targets out as in torch; where all are ignored the value is 0 with a
  gradient of 0, torch's NaN.
- **Half precision** is computed in float32, and the value is float32.

`lossmith.get` takes torch's names, those of its functions and the short ones wherever the value is
the same; otherwise, and for `lossmith.BCEWithLogitsLoss` and its like, the error says what to use.

| torch.nn | also called | here | same value | differs |
|---|---|---|---|---|
"""


def document() -> str:
    """Return the page as text."""
    losses, rows = find(), []
    for peer in PEERS:
        called = ", ".join(f"`{name}`" for name in peer.names) or "–"
        here = f"[{losses[peer.key].__name__}](losses/{peer.key}.md)" if peer.key else "–"
        same = "yes" if peer.same else "no"
        rows.append(f"| {peer.torch} | {called} | {here} | {same} | {peer.differs or '–'} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")

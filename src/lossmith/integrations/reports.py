"""What a training loop's validation batches say together."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def joined(batches: Sequence[Any]) -> dict[str, Any]:
    """Return the arguments of `trial.report` from what each batch said, in the order of the rows.

    Args:
        batches: of each a tensor of outputs, or a mapping with "outputs" or "rows", and "target"
            where the study has none.

    Raises:
        ValueError: where a batch said nothing of these.

    >>> joined([torch.zeros(2), torch.ones(1)])
    {'outputs': tensor([0., 0., 1.])}
    """
    said = [one if isinstance(one, Mapping) else {"outputs": one} for one in batches]
    names = [name for name in ("outputs", "rows", "target") if name in (said[0] if said else {})]
    if said and not {"outputs", "rows"} & set(names):
        raise ValueError(
            "a validation batch must return its outputs, a tensor, or a dict with 'outputs' or "
            f"'rows'; got the keys {', '.join(map(repr, said[0]))}"
        )
    for name in names:
        if not all(isinstance(one[name], torch.Tensor) for one in said):
            kind = type(said[0][name]).__name__
            raise ValueError(f"a validation batch must return its {name} as a tensor, got {kind}")
    return {name: torch.cat([one[name].detach().cpu() for one in said]) for name in names}

"""The constant head of least expected loss, found without knowing the loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from lossmith.testing.cases import Case, domain


def minimiser(case: Case, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the head, as a batch of one, that has the least loss on all of the targets at once."""
    rows = len(target)

    def one(head: Tensor) -> Tensor:
        return case.loss(head.expand(rows, *head.shape), target, weight=weight)

    def many(heads: Tensor) -> Tensor:
        if case.card.vmap:
            return torch.func.vmap(one)(heads)
        return torch.stack([one(head) for head in heads])

    low, high = domain(case.card)
    if case.width == 1:
        span = high - low
        grid = torch.cat(
            [torch.linspace(low - span, high + span, 401), torch.linspace(-10, 10, 401)]
        )
        heads = grid.double()
        best = heads[many(heads).argmin()]
    else:
        start = torch.zeros(case.width, dtype=torch.float64)
        best = _descend(one, start)
        if one(best) >= one(start):  # of no direction at 0 there is no slope to follow
            best = _descend(one, start + 1)
    return _polish(many, best).unsqueeze(0)


def _descend(objective: Callable[[Tensor], Tensor], head: Tensor) -> Tensor:
    head = head.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [head],
        max_iter=300,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective(head)
        value.backward()
        return value

    optimiser.step(closure)
    return head.detach()


def _polish(objective: Callable[[Tensor], Tensor], head: Tensor) -> Tensor:
    """Compass search: a step along each axis while that helps, then half the step."""
    width = head.numel()
    axes = torch.eye(width, dtype=head.dtype).reshape(width, *head.shape)
    step, value = 0.05, objective(head.unsqueeze(0))[0]
    for _ in range(200):
        if step < 1e-5:
            break
        around = torch.cat([head + step * axes, head - step * axes])
        values = objective(around)
        best = values.argmin()
        if values[best] < value:
            head, value = around[best], values[best]
        else:
            step /= 2
    return head

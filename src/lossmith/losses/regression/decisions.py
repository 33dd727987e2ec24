"""Predict, then optimize: what predicted costs are worth by the decisions that they lead to."""

from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real


class SPOPlus(Pointwise):
    r"""Smart predict, then optimize: a convex bound on the regret of deciding by predicted costs.

    .. math:: \ell(\hat c, c) = (2 \hat c - c) \cdot \bigl( w^*(c) - w^*(2 \hat c - c) \bigr) \qquad
        w^*(c) = \arg\min_{w \in W} c \cdot w

    Shapes: input a dict of "cost", the predicted ĉ, and "solution", the best for 2ĉ − c; target a
    dict of "cost" c and "solution", the best for it; all (N, D). One value a row, in the unit of
    cost·w, at least the regret of deciding by ĉ and never below 0.

    The solver is the user's own, of any problem that is linear in its costs: routes, assignments,
    knapsacks (with costs below 0, where it maximizes). It is asked once a row, for 2ĉ − c without a
    gradient; what it finds is constant, and 2 (w*(c) − w*(2ĉ − c)) a subgradient.

    Use when: Predictions are inputs of an optimization, and only its decisions count.
    Avoid when: Solving once a row and step is too dear, or costs are scored themselves: MSE.
    Source: Elmachtoub, Grigas, Smart “Predict, then Optimize” (2022).

    >>> def cheapest(cost):  # one of three is to be taken
    ...     return torch.nn.functional.one_hot(cost.argmin(1), 3).float()
    >>> guess = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    >>> cost = torch.tensor([[2.0, 1.0, 3.0]])
    >>> made = {"cost": guess, "solution": cheapest(2 * guess.detach() - cost)}
    >>> SPOPlus()(made, {"cost": cost, "solution": cheapest(cost)})  # the regret is 1
    tensor(3., grad_fn=<MeanBackward0>)
    """

    card = Card(
        key="spo_plus",
        tasks=("regression",),
        input={"cost": "values", "solution": "values"},
        target={"cost": "values", "solution": "values"},
        # 2ĉ − c = (0, 3): its best is the first, that of c the second
        example=Example(
            input={"cost": [[1.0, 2.0]], "solution": [[1.0, 0.0]]},
            target={"cost": [[2.0, 1.0]], "solution": [[0.0, 1.0]]},
            value=3.0,
        ),
    )

    def values(self, input: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the bound of each row."""
        return F.spo_plus(input, target)


class PerturbedFenchelYoung(Pointwise):
    r"""Scores whose best solution, under noise, is on average the one wanted.

    .. math:: \ell(\theta, y) = \mathbb{E}_Z \max_{s \in S} \, (\theta + \sigma Z) \cdot s - \theta
        \cdot y

    Shapes: input a dict of "score" θ (N, D), of "noise" Z (N, M, D), M samples a row, and of
    "solution" (N, M, D), the best s for each θ + σZ; target y (N, D), the solution wanted. One
    value a row, in the unit of score·s.

    The solver is the user's own, of any problem that maximizes a score linear in its solution:
    paths, matchings, rankings, the largest k. It is asked for θ + σZ without a gradient; what it
    finds is constant, and the gradient the mean solution less the one wanted: unbiased, and exact
    in what the noise averages to. The value is the paper's up to a constant of y. With Gumbel noise
    and one of D to be taken it is cross-entropy up to such a constant, on average.

    Use when: Solutions are known, costs are not: learning by examples of what was done.
    Avoid when: Costs are known too: SPO+ measures what a wrong decision costs.
    Source: Berthet, Blondel, Teboul, Cuturi, Vert, Bach, Learning with Differentiable Perturbed
    Optimizers (2020).

    >>> def largest(score):  # one of three is to be taken
    ...     return torch.nn.functional.one_hot(score.argmax(-1), 3).float()
    >>> score, noise = torch.zeros(1, 3, requires_grad=True), torch.eye(3).unsqueeze(0)
    >>> made = largest(score.detach().unsqueeze(1) + noise)
    >>> loss = PerturbedFenchelYoung()
    >>> loss({"score": score, "noise": noise, "solution": made}, torch.tensor([[1.0, 0.0, 0.0]]))
    tensor(1., grad_fn=<MeanBackward0>)
    """

    sigma: Real = Real(default=1.0, low=0.0, exclusive=True, doc="σ, size of the noise")
    card = Card(
        key="perturbed_fenchel_young",
        tasks=("regression",),
        input={"score": "values", "noise": "values", "solution": "values"},
        target="values",
        # the best of (1, 0) and of (0.5, 2) score 1 and 2, what is wanted 0.5
        example=Example(
            input={
                "score": [[0.5, 0.0]],
                "noise": [[[0.5, 0.0], [0.0, 2.0]]],
                "solution": [[[1.0, 0.0], [0.0, 1.0]]],
            },
            target=[[1.0, 0.0]],
            value=1.0,
        ),
    )

    def values(self, input: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the value of each row."""
        return F.perturbed_fenchel_young(input, target, sigma=self.sigma)

"""Losses of diffusion models, flows and consistency models."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise


class Denoising(Pointwise):
    r"""The loss of a diffusion model: what the network predicts, and how noise levels weigh.

    .. math:: \ell = w(\mathrm{SNR})\, (\hat x_0 - x_0)^2 \qquad x_t = \alpha x_0 +
        \sigma\varepsilon \qquad \mathrm{SNR} = \alpha^2 / \sigma^2

    Shapes: input (N, …), the network's output; target "clean" x₀ and "noise" ε alike, "alpha"
    and "sigma" (N,), the noise level of each row. One value an element.

    The two choices are orthogonal: a weighting is one of the error of x₀, whatever is predicted,
    and the loss of an output is the loss of the x₀ that it stands for. An error of eps then
    weighs w/SNR and one of v w/(SNR + 1): min-SNR of v is min(SNR, γ)/(SNR + 1), which libraries
    got wrong repeatedly. The exception is "uniform": weight 1 on the network's own output, so
    that eps with "uniform" is DDPM's loss and equals any prediction with "snr".

    - prediction: "eps" the noise; "x0" the clean sample; "v" α·ε − σ·x₀ (Salimans & Ho, 2022).
      v supposes α² + σ² = 1, and other levels are scaled to it.
    - weighting w: "snr" SNR; "truncated_snr" max(SNR, 1) (Salimans & Ho, 2022); "min_snr"
      min(SNR, γ) (Hang et al., 2023); "edm" SNR + 1/σ_data² (Karras et al., 2022), the paper's
      (σ² + σ_data²)/(σ·σ_data)² at α = 1; "p2" SNR/(k + SNR)^γ (Choi et al., 2022).

    `lossmith.functional.noised` makes the network's input, `denoised` reads its output.

    Args:
        prediction: what the network's output stands for.
        weighting: how noise levels weigh.
        gamma: where min_snr cuts.
        sigma_data: standard deviation of the data, for edm.
        p2_k: where p2 begins to fall.
        p2_gamma: how fast p2 falls.

    Raises:
        ValueError: if shapes do not fit.

    Source: Ho, Jain, Abbeel, Denoising Diffusion Probabilistic Models (2020); v and truncated
    SNR: Salimans & Ho, Progressive Distillation for Fast Sampling of Diffusion Models (2022);
    edm: Karras, Aittala, Aila, Laine, Elucidating the Design Space of Diffusion-Based Generative
    Models (2022); p2: Choi et al., Perception Prioritized Training of Diffusion Models (2022);
    min_snr: Hang et al., Efficient Diffusion Training via Min-SNR Weighting Strategy (2023).

    >>> one, level = torch.ones(1, 2), torch.tensor([0.5])
    >>> target = {"clean": one, "noise": 0 * one, "alpha": level, "sigma": level}
    >>> Denoising(prediction="x0")(3 * one, target)
    tensor(4.)
    """

    prediction: str
    weighting: str
    gamma: Tensor
    sigma_data: Tensor
    p2_k: Tensor
    p2_gamma: Tensor
    card: ClassVar[Card] = Card(
        key="denoising",
        tasks=("diffusion",),
        target={"clean": "values", "noise": "values", "alpha": "positive", "sigma": "positive"},
        input="values",
        formula="w(SNR) (x0_hat - x0)^2, SNR = alpha^2/sigma^2, of eps, x0 or v",
        use_when="A diffusion model is trained, under any parametrisation and weighting.",
        avoid_when="Straight paths between noise and data are wanted; flow matching has them.",
        paper=Paper(
            authors="J. Ho, A. Jain, P. Abbeel",
            title="Denoising Diffusion Probabilistic Models",
            year=2020,
        ),
        # v = 0.6·2 − 0.8·1 = 0.4, an error of 1 and one of 0; SNR 0.5625, weight 0.5625/1.5625
        example=Example(
            arguments={"prediction": "v", "weighting": "min_snr"},
            input=[[1.4, 0.4]],
            target={"clean": [[1.0, 1.0]], "noise": [[2.0, 2.0]], "alpha": [0.6], "sigma": [0.8]},
            value=0.18,
        ),
        hypers={
            "prediction": Hyper(
                default="eps", choices=("eps", "x0", "v"), meaning="what the output stands for"
            ),
            "weighting": Hyper(
                default="uniform",
                choices=("uniform", "snr", "truncated_snr", "min_snr", "edm", "p2"),
                meaning="how noise levels weigh",
            ),
            "gamma": Hyper(default=5.0, low=0.0, open=True, meaning="where min_snr cuts"),
            "sigma_data": Hyper(
                default=0.5, low=0.0, open=True, meaning="standard deviation of the data, for edm"
            ),
            "p2_k": Hyper(default=1.0, low=0.0, open=True, meaning="where p2 begins to fall"),
            "p2_gamma": Hyper(default=1.0, low=0.0, meaning="how fast p2 falls"),
        },
    )

    def __init__(
        self,
        *,
        prediction: str = "eps",
        weighting: str = "uniform",
        gamma: Number = 5.0,
        sigma_data: Number = 0.5,
        p2_k: Number = 1.0,
        p2_gamma: Number = 1.0,
    ) -> None:
        super().__init__(
            prediction=prediction,
            weighting=weighting,
            gamma=gamma,
            sigma_data=sigma_data,
            p2_k=p2_k,
            p2_gamma=p2_gamma,
        )

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted squared error of each element."""
        return F.denoising(
            input,
            target,
            prediction=self.prediction,
            weighting=self.weighting,
            gamma=self.gamma,
            sigma_data=self.sigma_data,
            p2_k=self.p2_k,
            p2_gamma=self.p2_gamma,
        )


class FlowMatching(Pointwise):
    r"""Conditional flow matching: the velocity of a straight path from noise to data.

    .. math:: \ell = \left(v - (x_1 - (1 - \sigma_{\min}) x_0)\right)^2 \qquad
        x_t = (1 - (1 - \sigma_{\min}) t) x_0 + t x_1

    Shapes: input (N, …), the network's velocity; target "clean" x₁ and "noise" x₀ alike. One
    value an element. Time runs from noise at 0 to data at 1; Stable Diffusion 3 and FLUX count
    the other way, and their velocity is minus this one. `lossmith.functional.interpolant` makes
    the network's input.

    Args:
        sigma_min: what is left of the noise at time 1; 0 is rectified flow.

    Raises:
        ValueError: if shapes differ.

    Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow Matching for Generative Modeling (2023), the
    optimal transport path; at 0 Liu, Gong, Liu, Flow Straight and Fast (2023).

    >>> one = torch.ones(1, 2)
    >>> FlowMatching()(one, {"clean": 3 * one, "noise": one})
    tensor(1.)
    """

    sigma_min: Tensor
    card: ClassVar[Card] = Card(
        key="flow_matching",
        tasks=("diffusion",),
        target={"clean": "values", "noise": "values"},
        input="values",
        formula="(v - (clean - (1 - sigma_min) noise))^2",
        use_when="A generative model that samples in few steps along nearly straight paths.",
        avoid_when="A diffusion model is fine-tuned: keep what it was trained to predict.",
        paper=Paper(
            authors="Y. Lipman, R. T. Q. Chen, H. Ben-Hamu, M. Nickel, M. Le",
            title="Flow Matching for Generative Modeling",
            year=2023,
        ),
        # velocities 3 − 0.9·1 = 2.1 and 1 − 0.9·(−1) = 1.9
        example=Example(
            arguments={"sigma_min": 0.1},
            input=[[2.1, 0.9]],
            target={"clean": [[3.0, 1.0]], "noise": [[1.0, -1.0]]},
            value=0.5,
        ),
        hypers={"sigma_min": Hyper(default=0.0, low=0.0, high=1.0, meaning="noise left at time 1")},
    )

    def __init__(self, *, sigma_min: Number = 0.0) -> None:
        super().__init__(sigma_min=sigma_min)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the squared error of each element of the velocity."""
        return F.flow_matching(input, target, sigma_min=self.sigma_min)


class Consistency(Pointwise):
    r"""Consistency training: outputs at two neighbouring noise levels of one path agree.

    .. math:: \ell = \lambda\, d\left(f(x_{t_{n+1}}), f^-(x_{t_n})\right) \qquad
        d = \lVert r \rVert^2 \;\text{ or }\; \sqrt{\lVert r \rVert^2 + c^2} - c

    Shapes: input (N, …), the network's output at the noisier level; target "teacher" alike, the
    output at the other level, through which no gradient flows; and "gap" (N,) where λ is one
    over the distance of the two levels. One value a row: norms add up over a row's elements,
    where the authors' code for the squared distance takes their mean.

    Args:
        distance: "squared", or the "pseudo_huber" of improved consistency training.
        c: where pseudo_huber bends; 0.00054·√d for d elements if not given.

    Raises:
        ValueError: if shapes do not fit.

    Source: Song, Dhariwal, Chen, Sutskever, Consistency Models (2023); pseudo_huber, c and the
    gap: Song & Dhariwal, Improved Techniques for Training Consistency Models (2023).

    >>> Consistency()(torch.tensor([[1.0, 2.0]]), {"teacher": torch.zeros(1, 2)})
    tensor(5.)
    """

    distance: str
    c: Tensor | None
    card: ClassVar[Card] = Card(
        key="consistency",
        tasks=("diffusion",),
        target={"teacher": "values", "gap": "positive"},
        optional=("gap",),
        input="values",
        formula="d(input, teacher) / gap, d = |r|^2 or sqrt(|r|^2 + c^2) - c",
        use_when="A generator that samples in one or two steps is trained or distilled.",
        avoid_when="Many sampling steps are fine: a diffusion model trains more easily.",
        paper=Paper(
            authors="Y. Song, P. Dhariwal, M. Chen, I. Sutskever",
            title="Consistency Models",
            year=2023,
        ),
        # ‖(3, 0)‖² + 4² = 5²
        example=Example(
            arguments={"distance": "pseudo_huber", "c": 4.0},
            input=[[4.0, 2.0]],
            target={"teacher": [[1.0, 2.0]], "gap": [0.5]},
            value=2.0,
        ),
        hypers={
            "distance": Hyper(
                default="squared", choices=("squared", "pseudo_huber"), meaning="how far apart"
            ),
            "c": Hyper(default=None, low=0.0, open=True, meaning="where pseudo_huber bends"),
        },
    )

    def __init__(self, *, distance: str = "squared", c: Number | None = None) -> None:
        super().__init__(distance=distance, c=c)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted distance of each row to its teacher."""
        return F.consistency(input, target, distance=self.distance, c=self.c)

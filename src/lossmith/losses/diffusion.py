"""Losses of diffusion models, flows and consistency models."""

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, OptionalReal, Real


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

    Use when: A diffusion model is trained, under any parametrisation and weighting.
    Avoid when: Straight paths between noise and data are wanted; flow matching has them.
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

    function = staticmethod(F.denoising)
    prediction: Choice = Choice(
        default="eps", choices=("eps", "x0", "v"), doc="what the network's output stands for"
    )
    weighting: Choice = Choice(
        default="uniform",
        choices=("uniform", "snr", "truncated_snr", "min_snr", "edm", "p2"),
        doc="how noise levels weigh",
    )
    gamma: Real = Real(default=5.0, low=0.0, exclusive=True, doc="where min_snr cuts")
    sigma_data: Real = Real(
        default=0.5, low=0.0, exclusive=True, doc="standard deviation of the data, for edm"
    )
    p2_k: Real = Real(default=1.0, low=0.0, exclusive=True, doc="where p2 begins to fall")
    p2_gamma: Real = Real(default=1.0, low=0.0, doc="how fast p2 falls")
    card = Card(
        key="denoising",
        tasks=("diffusion",),
        input="values",
        target={"clean": "values", "noise": "values", "alpha": "positive", "sigma": "positive"},
        # v = 0.6·2 − 0.8·1 = 0.4, an error of 1 and one of 0; SNR 0.5625, weight 0.5625/1.5625
        example=Example(
            arguments={"prediction": "v", "weighting": "min_snr"},
            input=[[1.4, 0.4]],
            target={"clean": [[1.0, 1.0]], "noise": [[2.0, 2.0]], "alpha": [0.6], "sigma": [0.8]},
            value=0.18,
        ),
    )


class FlowMatching(Pointwise):
    r"""Conditional flow matching: the velocity of a straight path from noise to data.

    .. math:: \ell = \left(v - (x_1 - (1 - \sigma_{\min}) x_0)\right)^2 \qquad
        x_t = (1 - (1 - \sigma_{\min}) t) x_0 + t x_1

    Shapes: input (N, …), the network's velocity; target "clean" x₁ and "noise" x₀ alike. One
    value an element. Time runs from noise at 0 to data at 1; Stable Diffusion 3 and FLUX count
    the other way, and their velocity is minus this one. `lossmith.functional.interpolant` makes
    the network's input.

    Use when: A generative model that samples in few steps along nearly straight paths.
    Avoid when: A diffusion model is fine-tuned: keep what it was trained to predict.
    Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow Matching for Generative Modeling (2023), the
    optimal transport path; at 0 Liu, Gong, Liu, Flow Straight and Fast (2023).

    >>> one = torch.ones(1, 2)
    >>> FlowMatching()(one, {"clean": 3 * one, "noise": one})
    tensor(1.)
    """

    function = staticmethod(F.flow_matching)
    sigma_min: Real = Real(
        default=0.0,
        low=0.0,
        high=1.0,
        doc="what is left of the noise at time 1; 0 is rectified flow",
    )
    card = Card(
        key="flow_matching",
        tasks=("diffusion",),
        input="values",
        target={"clean": "values", "noise": "values"},
        # velocities 3 − 0.9·1 = 2.1 and 1 − 0.9·(−1) = 1.9
        example=Example(
            arguments={"sigma_min": 0.1},
            input=[[2.1, 0.9]],
            target={"clean": [[3.0, 1.0]], "noise": [[1.0, -1.0]]},
            value=0.5,
        ),
    )


class Consistency(Pointwise):
    r"""Consistency training: outputs at two neighbouring noise levels of one path agree.

    .. math:: \ell = \lambda\, d\left(f(x_{t_{n+1}}), f^-(x_{t_n})\right) \qquad
        d = \lVert r \rVert^2 \;\text{ or }\; \sqrt{\lVert r \rVert^2 + c^2} - c

    Shapes: input (N, …), the network's output at the noisier level; target "teacher" alike, the
    output at the other level, through which no gradient flows; and "gap" (N,) where λ is one
    over the distance of the two levels. One value a row: norms add up over a row's elements,
    where the authors' code for the squared distance takes their mean.

    Use when: A generator that samples in one or two steps is trained or distilled.
    Avoid when: Many sampling steps are fine: a diffusion model trains more easily.
    Source: Song, Dhariwal, Chen, Sutskever, Consistency Models (2023); pseudo_huber, c and the
    gap: Song & Dhariwal, Improved Techniques for Training Consistency Models (2023).

    >>> Consistency()(torch.tensor([[1.0, 2.0]]), {"teacher": torch.zeros(1, 2)})
    tensor(5.)
    """

    function = staticmethod(F.consistency)
    distance: Choice = Choice(
        default="squared",
        choices=("squared", "pseudo_huber"),
        doc='"squared", or the "pseudo_huber" of improved consistency training',
    )
    c: OptionalReal = OptionalReal(
        default=None,
        low=0.0,
        exclusive=True,
        doc="where pseudo_huber bends; 0.00054·√d for d elements if not given",
    )
    card = Card(
        key="consistency",
        tasks=("diffusion",),
        input="values",
        target={"teacher": "values", "gap": "positive"},
        optional=("gap",),
        # ‖(3, 0)‖² + 4² = 5²
        example=Example(
            arguments={"distance": "pseudo_huber", "c": 4.0},
            input=[[4.0, 2.0]],
            target={"teacher": [[1.0, 2.0]], "gap": [0.5]},
            value=2.0,
        ),
    )

"""Negative log-likelihoods whose head gives a distribution of each row."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Whole

FLOOR = Real(default=0.001, low=0.0, exclusive=True, doc="least scale, in the target's unit")


class GaussianNLL(Pointwise):
    r"""Negative log-likelihood of a Gaussian whose mean and scale the head gives.

    .. math:: \ell(x, y) = \frac{(\mu - y)^2}{2 \sigma^2} + \log\sigma + \tfrac12 \log 2\pi
        \qquad \sigma = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats, the constant included, so
    that likelihoods of different distributions compare (torch leaves it out by default).

    Use when: The noise differs from row to row and the targets have no gross outliers.
    Avoid when: The target is far from standardised, or outliers are many: Student's t then.
    Source: Nix & Weigend, Estimating the Mean and Variance of the Target Probability
    Distribution (1994).

    >>> GaussianNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.9199)
    """

    function = staticmethod(F.gaussian_nll)
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="gaussian_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 1.001: log(1.001) + log(2 pi)/2
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.9199380335382032),
        claims=Claims(proper=True, elicits="mean"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the Gaussian's quantile."""
        return F.gaussian_quantile(output, level=level, floor=self.floor)


class LaplaceNLL(Pointwise):
    r"""Negative log-likelihood of a Laplace distribution whose median and scale the head gives.

    .. math:: \ell(x, y) = \frac{|\mu - y|}{b} + \log 2b \qquad b = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the median :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats.

    Use when: MAE is the metric and the noise differs from row to row.
    Avoid when: The target is far from standardised, or many rows share one exact value.
    Source: Laplace, Mémoire sur la probabilité des causes par les évènemens (1774).

    >>> LaplaceNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.6941)
    """

    function = staticmethod(F.laplace_nll)
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="laplace_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 1.001: log(2.002)
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.6941466808930286),
        claims=Claims(proper=True, elicits="median"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the median."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the Laplace distribution's quantile."""
        return F.laplace_quantile(output, level=level, floor=self.floor)


class StudentTNLL(Pointwise):
    r"""Negative log-likelihood of Student's t whose location and scale the head gives.

    .. math:: \ell(x, y) = \frac{\nu + 1}{2} \log\left(1 + \frac{(\mu - y)^2}{\nu s^2}\right)
        + \log s + \log\frac{\sqrt{\nu\pi}\,\Gamma(\nu/2)}{\Gamma((\nu + 1)/2)}
        \qquad s = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the location :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats. The degrees of freedom are
    fixed, not a third output: from one residual a row they are hardly to be told from the scale.

    Use when: The noise differs from row to row and has heavy tails: gross outliers are among the
    targets.
    Avoid when: The mean of a skewed target is wanted: the location is not the mean.
    Source: Lange, Little & Taylor, Robust Statistical Modeling Using the t Distribution (1989).

    >>> StudentTNLL(degrees_of_freedom=1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(1.1457)
    """

    function = staticmethod(F.student_t_nll)
    degrees_of_freedom: Real = Real(
        default=4.0,
        low=0.0,
        exclusive=True,
        doc=":math:`\\nu`; 1 is the Cauchy distribution, large is the Gaussian. The default of 4 "
        "keeps the variance finite and the outliers cheap",
    )
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="student_t_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # the Cauchy density at its centre is 1/(pi scale), scale 1.001: log(1.001 pi)
        example=Example(
            input=[[0.0, 0.0]],
            target=[0.0],
            value=1.1457293861826167,
            arguments={"degrees_of_freedom": 1.0},
        ),
        claims=Claims(proper=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the location."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of Student's t."""
        return F.student_t_quantile(
            output, level=level, degrees_of_freedom=self.degrees_of_freedom, floor=self.floor
        )


class BetaNLL(Pointwise):
    r"""Gaussian likelihood, each row weighted by its own variance to the power beta.

    .. math:: \ell(x, y) = \lfloor\sigma^{2\beta}\rfloor \left(\frac{(\mu - y)^2}{2 \sigma^2} +
        \log\sigma\right) \qquad \sigma = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. The weight :math:`\lfloor\cdot\rfloor` is held
    constant in the gradient: at beta 1 the mean learns as under squared error, at 0 the loss is
    the likelihood, without :math:`\tfrac12 \log 2\pi` as in the authors' code. The value is not to
    be compared between models. Beyond :math:`e^{50}` the weight grows no more.

    Use when: The noise differs from row to row, yet the mean must not be learned worse.
    Avoid when: The value is to be a likelihood: gaussian_nll is.
    Source: Seitzer, Tavakoli, Antic & Martius, On the Pitfalls of Heteroscedastic Uncertainty
    Estimation with Probabilistic Neural Networks (2022).

    >>> BetaNLL(floor=1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([2.0]))  # 2 (1/2 + log 2)
    tensor(2.3863)
    """

    function = staticmethod(F.beta_nll)
    beta: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        doc="from 0, where rows of little noise rule, to 1, where all weigh alike",
    )
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="beta_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 2: 2 (4/8 + log 2)
        example=Example(
            input=[[0.0, 0.0]],
            target=[2.0],
            value=2.386294361119891,
            arguments={"floor": 1.0},
        ),
        claims=Claims(elicits="mean"),
        detached=True,
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the Gaussian's quantile."""
        return F.gaussian_quantile(output, level=level, floor=self.floor)


class MixtureDensity(Pointwise):
    r"""Negative log-likelihood of a mixture of Gaussians: targets may have several modes.

    .. math:: \ell(x, y) = -\log \sum_k \pi_k \, N(y; \mu_k, \sigma_k) \qquad
        \pi = \operatorname{softmax}(a), \; \sigma_k = \text{floor} + e^{u_k}

    Shapes: input (N, 3 K), in dimension 1 the K logits a, the K means :math:`\mu` and the K raw
    log-scales u; target (N,), or both with the same trailing dimensions. Values in nats. `decode`
    gives the mixture's mean. A head of equal means has no reason to part them: start it at random.

    Use when: One input has several plausible targets, whose mean may be none of them.
    Avoid when: A point is all that is wanted: MSE learns the mean sooner.
    Source: Bishop, Mixture Density Networks (1994).

    >>> MixtureDensity(components=2, floor=1e-9)(torch.zeros(1, 6), torch.zeros(1))
    tensor(0.9189)
    """

    function = staticmethod(F.mixture_nll)
    components: Whole = Whole(default=3, low=1, doc="K; the paper sets none")
    floor: Real = FLOOR
    card = Card(
        key="mixture_density",
        tasks=("regression",),
        input="parameters",
        target="values",
        # both components alike, scale 2: log 2 + log(2 pi)/2 + 1/2
        example=Example(
            input=[[0.0] * 6],
            target=[2.0],
            value=2.112085713764618,
            arguments={"components": 2, "floor": 1.0},
        ),
        claims=Claims(proper=True),
    )

    @property
    def out_features(self) -> int:
        """A logit, a mean and a raw log-scale for each component."""
        return 3 * self.components

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean of the mixture."""
        return F.mixture_mean(output, components=self.components)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the mixture's quantile."""
        return F.mixture_quantile(output, level=level, components=self.components, floor=self.floor)


class EvidentialRegression(Pointwise):
    r"""Evidence for a Gaussian's mean and variance: noise and ignorance told apart.

    .. math:: \ell(x, y) = -\log \operatorname{St}_{2a}\left(y; \gamma, \frac{b (1 + v)}{v a}
        \right) + \lambda |y - \gamma| (2 v + a)

    with :math:`v, b = \operatorname{softplus}` and :math:`a = 1 + \operatorname{softplus}` of raw
    outputs.

    Shapes: input (N, 4), in dimension 1 :math:`\gamma` and the raw v, a and b (the paper's
    :math:`\nu, \alpha, \beta`); target (N,), or both with the same trailing dimensions. Values in
    nats plus the penalty. `decode` gives the mean :math:`\gamma`. The expected noise is
    :math:`b/(a - 1)`, the variance of the mean :math:`b/(v(a - 1))`. Raw outputs below −40 are
    taken as −40.

    Use when: One pass must tell where the model has seen too little, beside the noise.
    Avoid when: Its uncertainty must be exact: evidence depends on the coefficient.
    Source: Amini, Schwarting, Soleimany & Rus, Deep Evidential Regression (2020).

    >>> EvidentialRegression()(torch.zeros(1, 4), torch.zeros(1))
    tensor(0.9918)
    """

    function = staticmethod(F.evidential_regression)
    coefficient: Real = Real(
        default=0.01,
        low=0.0,
        doc=":math:`\\lambda`, the price of evidence for a wrong mean; the authors train with "
        "0.01, the default of their function is 1",
    )
    out_features: int = 4
    card = Card(
        key="evidential_regression",
        tasks=("regression",),
        input="parameters",
        target="values",
        # v = b = log 2, a = 1 + log 2: scipy's t of 2a degrees and that scale, + 0.02 (2v + a)
        example=Example(input=[[0.0, 0.0, 0.0, 0.0]], target=[2.0], value=2.7637861643092285),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the Student t that the evidence predicts."""
        return F.evidential_quantile(output, level=level)


class VonMisesNLL(Pointwise):
    r"""Negative log-likelihood of an angle under a von Mises distribution, the Gaussian of circles.

    .. math:: \ell(x, y) = \log 2\pi I_0(\kappa) - \kappa \cos(\mu - y) \qquad
        x = \kappa (\cos\mu, \sin\mu)

    Shapes: input (N, 2), in dimension 1 a vector that points at the angle μ and is as long as its
    concentration κ; target (N,) of angles in radians, or both with the same trailing dimensions.
    Values in nats. Any two numbers are a head, and angles a turn apart are one; 1/√κ is about the
    standard deviation in radians. `decode` gives μ, from −π to π.

    Use when: The target is an angle, a time of day or of the year, and its noise differs.
    Avoid when: Targets are numbers on a line, or angles with two opposite peaks.
    Source: von Mises, Über die „Ganzzahligkeit“ der Atomgewichte und verwandte Fragen (1918);
    Prokudin, Gehler, Nowozin, Deep Directional Statistics: Pose Estimation with Uncertainty
    Quantification (2018).

    >>> VonMisesNLL()(torch.tensor([[1.0, 0.0]]), torch.tensor([0.0]))
    tensor(1.0738)
    """

    function = staticmethod(F.von_mises_nll)
    out_features: int = 2
    card = Card(
        key="von_mises_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # log 2π I0(1) less 1, and less 0
        example=Example(
            input=[[1.0, 0.0], [1.0, 0.0]],
            target=[0.0, 1.5707963267948966],
            value=1.0737911248 + 0.5,
        ),
        studied=False,
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean angle."""
        return F.von_mises_mean(output)

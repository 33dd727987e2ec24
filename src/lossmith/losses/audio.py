"""Losses of signals: spectra at several resolutions, distortion ratios."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

_SIGNAL = [1.0, -2.0, 3.5, 0.5, -1.5, 2.0, 0.25, -0.75]


class MultiResolutionSTFT(Pointwise):
    r"""Distance of two signals' spectrograms, in shape and in logarithm, at several resolutions.

    .. math:: \ell(x, y) = \frac1M \sum_m \Bigl( \frac{\lVert |Y_m| - |X_m| \rVert_F}
        {\lVert |Y_m| \rVert_F} + \frac{1}{P_m} \lVert \log |Y_m| - \log |X_m| \rVert_1 \Bigr)

    Shapes: input and target (N, …, T), longer than half of the largest transform. One value a
    signal.

    Resolutions, Hann windows and weights are the paper's. Each signal is divided by its own norm;
    auraloss takes one norm of the whole batch. The floor is auraloss's.

    Args:
        fft_sizes: samples of each transform.
        hops: samples from one frame to the next, one number a transform.
        windows: samples of each window, at most those of its transform.
        epsilon: the least power of a frequency.

    Raises:
        ValueError: if shapes differ, signals are too short, or the three lists do not fit.

    Source: Yamamoto, Song, Kim, Parallel WaveGAN: A Fast Waveform Generation Model Based on
    Generative Adversarial Networks with Multi-Resolution Spectrogram (2020).

    >>> loss = MultiResolutionSTFT(fft_sizes=[8], hops=[4], windows=[8])
    >>> signal = torch.tensor([[1.0, -2.0, 3.5, 0.5, -1.5, 2.0, 0.25, -0.75]])
    >>> loss(2 * signal, signal)
    tensor(1.6931)
    """

    fft_sizes: list[int]
    hops: list[int]
    windows: list[int]
    epsilon: Tensor
    card: ClassVar[Card] = Card(
        key="multi_resolution_stft",
        tasks=("audio",),
        target="values",
        input="values",
        formula="mean_m ||(|Y| - |X|)|| / || |Y| || + mean |log|Y| - log|X||",
        use_when="Signals are generated or enhanced and their phase need not be exact.",
        avoid_when="The waveform itself must be right: SI-SDR or ESR.",
        paper=Paper(
            authors="R. Yamamoto, E. Song, J.-M. Kim",
            title="Parallel WaveGAN: A Fast Waveform Generation Model Based on Generative "
            "Adversarial Networks with Multi-Resolution Spectrogram",
            year=2020,
        ),
        # Twice the signal has twice the spectrum: 1 + log 2 at any resolution.
        example=Example(
            arguments={"fft_sizes": [8, 4], "hops": [4, 2], "windows": [8, 4]},
            input=[[2 * one for one in _SIGNAL]],
            target=[_SIGNAL],
            value=1.6931471805599454,
        ),
        hypers={
            "fft_sizes": Hyper(default=(1024, 2048, 512), meaning="samples of each transform"),
            "hops": Hyper(default=(120, 240, 50), meaning="samples between frames"),
            "windows": Hyper(default=(600, 1200, 240), meaning="samples of each window"),
            "epsilon": Hyper(
                default=1e-8, low=0.0, open=True, meaning="the least power of a frequency"
            ),
        },
    )

    def __init__(
        self,
        *,
        fft_sizes: Sequence[int] = (1024, 2048, 512),
        hops: Sequence[int] = (120, 240, 50),
        windows: Sequence[int] = (600, 1200, 240),
        epsilon: Number = 1e-8,
    ) -> None:
        super().__init__(epsilon=epsilon)
        self.fft_sizes, self.hops, self.windows = list(fft_sizes), list(hops), list(windows)
        numbers = [*self.fft_sizes, *self.hops, *self.windows]
        if not all(isinstance(one, int) and one > 0 for one in numbers):
            raise ValueError(
                "MultiResolutionSTFT: fft_sizes, hops and windows must be whole numbers above 0, "
                f"got {self.fft_sizes}, {self.hops} and {self.windows}"
            )
        alike = len(self.fft_sizes) == len(self.hops) == len(self.windows) > 0
        if not alike or any(w > s for w, s in zip(self.windows, self.fft_sizes, strict=True)):
            raise ValueError(
                "MultiResolutionSTFT needs one hop and one window, at most as long, for each of "
                f"fft_sizes; got {self.fft_sizes}, {self.hops} and {self.windows}"
            )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the distance of spectrograms of each signal."""
        return F.multi_resolution_stft(
            input,
            target,
            fft_sizes=self.fft_sizes,
            hops=self.hops,
            windows=self.windows,
            epsilon=self.epsilon,
        )


class SISDR(Pointwise):
    r"""The negative scale-invariant signal-to-distortion ratio, in decibels.

    .. math:: \ell(x, y) = -10 \log_{10} \frac{\lVert \alpha y \rVert^2}
        {\lVert x - \alpha y \rVert^2} \qquad \alpha = \frac{x^\top y}{\lVert y \rVert^2}

    Shapes: input and target (N, …, T). One value a signal, from −80 to 80.

    Both energies are raised by 1e-8 of the estimate's, so that a perfect estimate has −80 dB,
    whatever its loudness; auraloss and torchmetrics add an absolute constant. A silent target has
    weight 0, a silent estimate the value 0. Any multiple of either signal gives the same value.

    Args:
        zero_mean: whether both signals' means are taken away first, as in auraloss.

    Raises:
        ValueError: if the shapes of input and target differ or are no signals.

    Source: Le Roux, Wisdom, Erdogan, Hershey, SDR – Half-Baked or Well Done? (2019).

    >>> SISDR()(torch.tensor([[4.0, -2.0, 2.0, -4.0]]), torch.tensor([[1.0, -1.0, 1.0, -1.0]]))
    tensor(-9.5424)
    """

    zero_mean: bool
    card: ClassVar[Card] = Card(
        key="si_sdr",
        tasks=("audio",),
        target="values",
        input="values",
        formula="-10 log10(|a y|^2 / |x - a y|^2), a = x·y / |y|^2",
        use_when="Sources are separated or speech enhanced, and SI-SDR is the metric.",
        avoid_when="Loudness must be right, or targets are often silent.",
        paper=Paper(
            authors="J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey",
            title="SDR – Half-Baked or Well Done?",
            year=2019,
        ),
        # 3y and a rest of energy 4: 36/4.
        example=Example(
            input=[[4.0, -2.0, 2.0, -4.0]], target=[[1.0, -1.0, 1.0, -1.0]], value=-9.542425094
        ),
        hypers={
            "zero_mean": Hyper(
                default=True, search=(True, False), meaning="whether means are taken away first"
            )
        },
    )

    def __init__(self, *, zero_mean: bool = True) -> None:
        super().__init__(zero_mean=zero_mean)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the negative ratio of each signal in decibels."""
        return F.si_sdr(input, target, zero_mean=self.zero_mean)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for silent targets, 1 for the others."""
        return F.sounding(target, zero_mean=self.zero_mean)


class ESR(Pointwise):
    r"""The energy of the error over the energy of the target: error to signal.

    .. math:: \ell(x, y) = \frac{\sum_t (y_t - x_t)^2}{\sum_t y_t^2}

    Shapes: input and target (N, …, T). One value a signal: 0 if equal, 1 for silence.

    Each signal has its own ratio, as in auraloss; the authors' code divides by the energy of the
    whole batch. A silent target has weight 0. The paper filters both signals first, and adds the
    error of the means: filter them beforehand.

    Raises:
        ValueError: if the shapes of input and target differ or are no signals.

    Source: Wright, Damskägg, Välimäki, Real-Time Black-Box Modelling with Recurrent Neural Networks
    (2019).

    >>> ESR()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(0.5000)
    """

    card: ClassVar[Card] = Card(
        key="esr",
        tasks=("audio",),
        target="values",
        input="values",
        formula="sum (y - x)^2 / sum y^2",
        use_when="A waveform is to be modelled sample by sample: effects, amplifiers.",
        avoid_when="Phase need not be exact, or quiet signals must not count like loud ones.",
        paper=Paper(
            authors="A. Wright, E.-P. Damskägg, V. Välimäki",
            title="Real-Time Black-Box Modelling with Recurrent Neural Networks",
            year=2019,
        ),
        example=Example(input=[[1.0, 0.0]], target=[[1.0, 1.0]], value=0.5),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the error's share of each signal's energy."""
        return F.esr(input, target)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for silent targets, 1 for the others."""
        return F.sounding(target)

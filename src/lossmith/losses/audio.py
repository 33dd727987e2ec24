"""Losses of signals, and of sequences whose labels are known, but not where each falls."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example, Kind
from lossmith.core.hyperparameter import Real, Switch, Whole, Wholes

_SIGNAL = [1.0, -2.0, 3.5, 0.5, -1.5, 2.0, 0.25, -0.75]
_TARGET: Mapping[str, Kind] = {"classes": "classes", "lengths": "counts", "frames": "counts"}


class MultiResolutionSTFT(Pointwise):
    r"""Distance of two signals' spectrograms, in shape and in logarithm, at several resolutions.

    .. math:: \ell(x, y) = \frac1M \sum_m \Bigl( \frac{\lVert |Y_m| - |X_m| \rVert_F}
        {\lVert |Y_m| \rVert_F} + \frac{1}{P_m} \lVert \log |Y_m| - \log |X_m| \rVert_1 \Bigr)

    Shapes: input and target (N, …, T), longer than half of the largest transform. One value a
    signal.

    Resolutions, Hann windows and weights are the paper's. Each signal is divided by its own norm;
    auraloss takes one norm of the whole batch. The floor is auraloss's.

    Use when: Speech or music is generated or enhanced and its phase need not be exact.
    Avoid when: The waveform itself must be right: SI-SDR or ESR.
    Source: Yamamoto, Song, Kim, Parallel WaveGAN: A Fast Waveform Generation Model Based on
    Generative Adversarial Networks with Multi-Resolution Spectrogram (2020).

    >>> loss = MultiResolutionSTFT(fft_sizes=[8], hops=[4], windows=[8])
    >>> signal = torch.tensor([[1.0, -2.0, 3.5, 0.5, -1.5, 2.0, 0.25, -0.75]])
    >>> loss(2 * signal, signal)
    tensor(1.6931)
    """

    function = staticmethod(F.multi_resolution_stft)
    fft_sizes: Wholes = Wholes(default=(1024, 2048, 512), low=1, doc="samples of each transform")
    hops: Wholes = Wholes(
        default=(120, 240, 50),
        low=1,
        doc="samples from one frame to the next, one number a transform",
    )
    windows: Wholes = Wholes(
        default=(600, 1200, 240),
        low=1,
        doc="samples of each window, at most those of its transform",
    )
    epsilon: Real = Real(
        default=1e-8, low=0.0, exclusive=True, doc="the least power of a frequency"
    )
    card = Card(
        key="multi_resolution_stft",
        tasks=("audio",),
        input="values",
        target="values",
        # Twice the signal has twice the spectrum: 1 + log 2 at any resolution.
        example=Example(
            arguments={"fft_sizes": [8, 4], "hops": [4, 2], "windows": [8, 4]},
            input=[[2 * one for one in _SIGNAL]],
            target=[_SIGNAL],
            value=1.6931471805599454,
        ),
    )

    def __post_init__(self) -> None:
        _check_transforms(self)


class MelSTFT(Pointwise):
    r"""Distance of two signals' mel spectrograms, in shape and in logarithm.

    .. math:: \ell(x, y) = \frac1M \sum_m \Bigl( \frac{\lVert |Y_m| - |X_m| \rVert_F}
        {\lVert |Y_m| \rVert_F} + \frac{1}{P_m} \lVert \log |Y_m| - \log |X_m| \rVert_1 \Bigr)

    with |X| the magnitudes of a transform, summed in bands that are even on the mel scale.

    Shapes: input and target (N, …, T), longer than half of the largest transform. One value a
    signal.

    Bands are librosa's, Slaney's scale with triangles of area 1 from 0 to half the sample rate, and
    the transform's defaults auraloss's, which has one resolution. Each signal is divided by its own
    norm; auraloss takes one norm of the whole batch. Bands too narrow to hold a frequency are 0 in
    both, where auraloss gives NaN.

    Use when: Speech or music is generated, and what is heard matters, not each frequency.
    Avoid when: High frequencies must be exact; `MultiResolutionSTFT` sees each.
    Source: Steinmetz, Reiss, auraloss: Audio-Focused Loss Functions in PyTorch (2020), after
    Yamamoto, Song, Kim, Parallel WaveGAN (2020).

    >>> loss = MelSTFT(sample_rate=8000, mels=2, fft_sizes=[8], hops=[4], windows=[8])
    >>> signal = torch.tensor([[1.0, -2.0, 3.5, 0.5, -1.5, 2.0, 0.25, -0.75]])
    >>> loss(2 * signal, signal)
    tensor(1.6931)
    """

    function = staticmethod(F.mel_stft)
    sample_rate: Whole = Whole(low=1, doc="samples a second")
    mels: Whole = Whole(default=128, low=1, doc="bands of each transform")
    fft_sizes: Wholes = Wholes(default=(1024,), low=1, doc="samples of each transform")
    hops: Wholes = Wholes(
        default=(256,), low=1, doc="samples from one frame to the next, one number a transform"
    )
    windows: Wholes = Wholes(
        default=(1024,), low=1, doc="samples of each window, at most those of its transform"
    )
    epsilon: Real = Real(
        default=1e-8, low=0.0, exclusive=True, doc="the least power of a frequency"
    )
    card = Card(
        key="mel_stft",
        tasks=("audio",),
        input="values",
        target="values",
        # Twice the signal has twice the bands: 1 + log 2.
        example=Example(
            arguments={
                "sample_rate": 8000,
                "mels": 2,
                "fft_sizes": [8],
                "hops": [4],
                "windows": [8],
            },
            input=[[2 * one for one in _SIGNAL]],
            target=[_SIGNAL],
            value=1.6931471805599454,
        ),
    )

    def __post_init__(self) -> None:
        _check_transforms(self)


def _check_transforms(loss: MultiResolutionSTFT | MelSTFT) -> None:
    alike = len(loss.fft_sizes) == len(loss.hops) == len(loss.windows) > 0
    if not alike or any(w > s for w, s in zip(loss.windows, loss.fft_sizes, strict=True)):
        raise ValueError(
            f"{type(loss).__name__} needs one hop and one window, at most as long, for each of "
            f"fft_sizes; got {loss.fft_sizes}, {loss.hops} and {loss.windows}"
        )


class SISDR(Pointwise):
    r"""The negative scale-invariant signal-to-distortion ratio, in decibels.

    .. math:: \ell(x, y) = -10 \log_{10} \frac{\lVert \alpha y \rVert^2}
        {\lVert x - \alpha y \rVert^2} \qquad \alpha = \frac{x^\top y}{\lVert y \rVert^2}

    Shapes: input and target (N, …, T). One value a signal, from −80 to 80.

    Both energies are raised by 1e-8 of the estimate's, so that a perfect estimate has −80 dB,
    whatever its loudness; auraloss and torchmetrics add an absolute constant. A silent target has
    weight 0, a silent estimate the value 0. Any multiple of either signal gives the same value.

    Use when: Sources are separated or speech enhanced, and SI-SDR is the metric.
    Avoid when: Loudness must be right, or targets are often silent.
    Source: Le Roux, Wisdom, Erdogan, Hershey, SDR – Half-Baked or Well Done? (2019).

    >>> SISDR()(torch.tensor([[4.0, -2.0, 2.0, -4.0]]), torch.tensor([[1.0, -1.0, 1.0, -1.0]]))
    tensor(-9.5424)
    """

    function = staticmethod(F.si_sdr)
    zero_mean: Switch = Switch(
        default=True,
        search=(True, False),
        doc="whether both signals' means are taken away first, as in auraloss",
    )
    card = Card(
        key="si_sdr",
        tasks=("audio",),
        input="values",
        target="values",
        # 3y and a rest of energy 4: 36/4.
        example=Example(
            input=[[4.0, -2.0, 2.0, -4.0]], target=[[1.0, -1.0, 1.0, -1.0]], value=-9.542425094
        ),
    )

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for silent targets, 1 for the others."""
        return F.has_signal(target, zero_mean=self.zero_mean)


class ESR(Pointwise):
    r"""The energy of the error over the energy of the target: error to signal.

    .. math:: \ell(x, y) = \frac{\sum_t (y_t - x_t)^2}{\sum_t y_t^2}

    Shapes: input and target (N, …, T). One value a signal: 0 if equal, 1 for silence.

    Each signal has its own ratio, as in auraloss; the authors' code divides by the energy of the
    whole batch. A silent target has weight 0. The paper filters both signals first, and adds the
    error of the means: filter them beforehand.

    Use when: A waveform is to be modelled sample by sample: effects, amplifiers.
    Avoid when: Phase need not be exact, or quiet signals must not count like loud ones.
    Source: Wright, Damskägg, Välimäki, Real-Time Black-Box Modelling with Recurrent Neural Networks
    (2019).

    >>> ESR()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(0.5000)
    """

    function = staticmethod(F.esr)
    card = Card(
        key="esr",
        tasks=("audio",),
        input="values",
        target="values",
        example=Example(input=[[1.0, 0.0]], target=[[1.0, 1.0]], value=0.5),
    )

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for silent targets, 1 for the others."""
        return F.has_signal(target)


class CTC(Pointwise):
    r"""Connectionist temporal classification: labels read off frames, wherever each may fall.

    .. math:: \ell = -\log \sum_{\pi \in B^{-1}(y)} \prod_{t=1}^{T} p_t(\pi_t)

    B drops repeats and then blanks, so that the sum runs over all alignments of the labels y.

    Shapes: input (N, T, C), logits of C classes in T frames, one of them the blank; logarithms of
    probabilities serve as well. target a dict of `classes` (N, S), integers padded with anything,
    `lengths` (N,), how many labels count, and optionally `frames` (N,), how many frames count. One
    value a sequence, in nats; torch's own "mean" also divides each by its length.

    Labels of n classes need n frames, and one more for each that repeats the one before it. With
    fewer a sequence has the value 0, which still counts in the mean, or infinity; its gradient is
    zero either way, and no finite logits give NaN. torch's default is infinity, with NaN for the
    gradient.

    torch computes it: without a second gradient, vmap, or a full graph of `torch.compile`.

    Use when: Recognition of speech or handwriting: there is a transcript, but no label for each
    frame.
    Avoid when: Labels outnumber frames, or come in another order than what they label.
    Source: Graves, Fernández, Gomez, Schmidhuber, Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks (2006).

    >>> target = {"classes": torch.tensor([[1, 2]]), "lengths": torch.tensor([2])}
    >>> CTC()(torch.zeros(1, 3, 3), target)  # 5 of 27 paths
    tensor(1.6864)
    """

    blank: Whole = Whole(default=0, low=0, doc="the class that stands for no label")
    zero_infinity: Switch = Switch(
        default=True, doc="whether sequences that do not fit have the value 0"
    )
    card = Card(
        key="ctc",
        tasks=("audio", "text"),
        input="logits",
        target=_TARGET,
        optional=("frames",),
        # Paths with blank "-" for "01": 001, 011, 01-, 0-1, -01 of 27; for "0": 00, 0-, -0 of 9.
        example=Example(
            arguments={"blank": 2},
            input=[[[0.0, 0.0, 0.0]] * 3] * 2,
            target={"classes": [[0, 1], [0, 0]], "lengths": [2.0, 1.0], "frames": [3.0, 2.0]},
            value=(math.log(27 / 5) + math.log(3)) / 2,
        ),
        claims=Claims(lipschitz=True),
        double_backward=False,
        vmap=False,
        fullgraph=False,
    )

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each sequence."""
        return F.ctc(
            input,
            target["classes"],
            target["lengths"],
            target.get("frames"),
            blank=self.blank,
            zero_infinity=self.zero_infinity,
        )


class RNNT(Pointwise):
    r"""The transducer: as CTC, but each label is predicted from those said before it.

    .. math:: \ell = -\log \alpha_{T S} - \log p_{T S}(\varnothing) \qquad
        \alpha_{t u} = \alpha_{t-1, u} \, p_{t-1, u}(\varnothing) +
        \alpha_{t, u-1} \, p_{t, u-1}(y_u)

    Shapes: input (N, T, S + 1, C), logits of C classes at each frame once so many labels are said,
    one class the blank, which goes on to the next frame; target a dict of `classes` (N, S),
    integers padded with anything, `lengths` (N,), how many labels count, and optionally `frames`
    (N,), how many frames count. One value a sequence, in nats; a sequence without frames has the
    value 0, which still counts.

    Any number of labels fits any number of frames: several may be said in one. It is computed along
    the diagonals of the grid, in T + S steps, and can be differentiated twice.

    Use when: Recognition of speech while it is heard, by an encoder and a predictor of labels.
    Avoid when: N·T·S·C logits do not fit; CTC needs N·T·C and no predictor.
    Source: Graves, Sequence Transduction with Recurrent Neural Networks (2012).

    >>> target = {"classes": torch.tensor([[1]]), "lengths": torch.tensor([1])}
    >>> RNNT()(torch.zeros(1, 2, 2, 3), target)  # 2 ways of 3 steps
    tensor(2.6027)
    """

    blank: Whole = Whole(default=0, low=0, doc="the class that stands for no label")
    card = Card(
        key="rnnt",
        tasks=("audio", "text"),
        input="logits",
        target=_TARGET,
        optional=("frames",),
        # One label in two frames: 2 ways of 3 steps, each 1/3; no label in one frame: 1/3.
        example=Example(
            arguments={"blank": 2},
            input=[[[[0.0, 0.0, 0.0]] * 2] * 2] * 2,
            target={"classes": [[0], [1]], "lengths": [1.0, 0.0], "frames": [2.0, 1.0]},
            value=(math.log(27 / 2) + math.log(3)) / 2,
        ),
        claims=Claims(lipschitz=True),
    )

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each sequence."""
        return F.rnnt(
            input,
            target["classes"],
            target["lengths"],
            target.get("frames"),
            blank=self.blank,
        )

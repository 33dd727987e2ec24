"""What should a denoiser predict? The noise, the velocity or a flow, on scikit-learn's digits.

python examples/diffusion.py [folder]

Judged by how often drawn and unseen digits are told apart by their nearest neighbours: 0.5 is
never. A small network learns from noisy digits and draws others out of noise.
"""

import itertools
import math
import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold
from torch import Tensor, nn

import lossmith
from lossmith import Study
from lossmith import functional as F

EPOCHS, STEPS, BATCH, SAMPLING = 3, 400, 128, 40


class Network(nn.Module):
    """Two hidden layers of an image and its noise level, the level as sines and cosines."""

    def __init__(self, pixels: int = 64, width: int = 256) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(pixels + 16, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, pixels),
        )

    def forward(self, image: Tensor, level: Tensor) -> Tensor:
        """Return one number a pixel."""
        angle = level.unsqueeze(1) * math.pi * torch.arange(1, 9)
        return self.body(torch.cat([image, angle.sin(), angle.cos()], 1))


def levels(time: Tensor) -> dict[str, Tensor]:
    """Return alpha and sigma of the cosine schedule, from clean at 0 to noise at 1."""
    return {"alpha": (time * math.pi / 2).cos(), "sigma": (time * math.pi / 2).sin()}


def step(network: Network, loss: lossmith.Loss, clean: Tensor) -> Tensor:
    """Return the loss of one training step."""
    noise = torch.randn_like(clean)
    if isinstance(loss, lossmith.FlowMatching):
        time = torch.rand(len(clean))
        velocity = network(F.interpolant(clean, noise, time=time), time)
        return loss(velocity, {"clean": clean, "noise": noise})
    time = torch.rand(len(clean)) * 0.998 + 0.001
    level = levels(time)
    output = network(F.noised(clean, noise, **level), time)
    return loss(output, {"clean": clean, "noise": noise, **level})


@torch.no_grad()
def draw_diffusion(network: Network, count: int, prediction: str) -> Tensor:
    """Draw images from noise, without chance on the way (DDIM)."""
    image = torch.randn(count, 64)
    times = torch.linspace(0.999, 0.001, SAMPLING + 1).unsqueeze(1).expand(-1, count)
    for now, then in itertools.pairwise(times):
        level = levels(now)
        clean = F.denoised(network(image, now), image, **level, prediction=prediction)
        clean = clean.clamp(-1, 1)  # near pure noise an error of eps is a huge one of the image
        noise = (image - level["alpha"].unsqueeze(1) * clean) / level["sigma"].unsqueeze(1)
        image = F.noised(clean, noise, **levels(then))
    return image


@torch.no_grad()
def draw_flow(network: Network, count: int) -> Tensor:
    """Follow the velocity from noise to images."""
    image = torch.randn(count, 64)
    for step in range(SAMPLING):
        image = image + network(image, torch.full((count,), step / SAMPLING)) / SAMPLING
    return image


def drawn(network: Network, loss: lossmith.Loss, count: int) -> Tensor:
    """Draw images as a loss has taught it."""
    if isinstance(loss, lossmith.FlowMatching):
        return draw_flow(network, count).clamp(-1, 1)
    return draw_diffusion(network, count, loss.prediction).clamp(-1, 1)


def told_apart(drawn: Tensor, real: Tensor) -> Tensor:
    """Return for each pair of images how often their nearest neighbours are of their own kinds.

    The mean is 0.5 where drawn and real images cannot be told apart, 1 where they always can.
    """
    both = torch.cat([drawn, real])
    kind = torch.arange(len(both)) < len(drawn)
    nearest = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    return (kind[nearest] == kind).float().reshape(2, -1).mean(0)


def main(folder: str = "runs/diffusion") -> None:
    """Compare what networks learn to predict on five folds and print the verdict."""
    images = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
    study = Study(
        folder,
        metric="told apart",
        better="lower",
        losses={
            "diffusion, eps": lossmith.Denoising(prediction="eps", weighting="uniform"),
            "diffusion, v, min-SNR": lossmith.Denoising(prediction="v", weighting="min_snr"),
            "flow matching": lossmith.FlowMatching(),
        },
        default="diffusion, eps",
        splits=KFold(5, shuffle=True, random_state=0).split(images),
        learning_rates=[2e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            network, seen = Network(), images[trial.train]
            mean = torch.optim.swa_utils.AveragedModel(
                network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
            )
            optimizer = torch.optim.Adam(network.parameters(), lr=trial.learning_rate)
            for _ in trial.epochs:
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    step(network, trial.loss, seen[torch.randint(len(seen), (BATCH,))]).backward()
                    optimizer.step()
                    mean.update_parameters(network)
                made = drawn(mean.module, trial.loss, len(trial.valid))
                if trial.report(rows=told_apart(made, images[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])

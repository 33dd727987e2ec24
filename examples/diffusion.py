"""Train a diffusion model and a flow on scikit-learn's digits, and measure what they draw.

python examples/diffusion.py
"""

import itertools
import math

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import lossmith
from lossmith import functional as F

STEPS, BATCH, SAMPLING = 2500, 128, 60


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


def train(step_loss, images: Tensor) -> Network:
    """Train a network and return the moving average of its weights."""
    network = Network()
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        batch = images[torch.randint(len(images), (BATCH,))]
        optimizer.zero_grad()
        step_loss(network, batch, torch.randn_like(batch)).backward()
        optimizer.step()
        decay.step()
        mean.update_parameters(network)
    return mean.module


def diffuse(loss: lossmith.Denoising):
    """Return a training step of the diffusion model."""

    def step(network: Network, clean: Tensor, noise: Tensor) -> Tensor:
        time = torch.rand(len(clean)) * 0.998 + 0.001
        level = levels(time)
        output = network(F.noised(clean, noise, **level), time)
        return loss(output, {"clean": clean, "noise": noise, **level})

    return step


def flow(network: Network, clean: Tensor, noise: Tensor) -> Tensor:
    """Return the loss of one training step of the flow."""
    time = torch.rand(len(clean))
    velocity = network(F.interpolant(clean, noise, time=time), time)
    return lossmith.FlowMatching()(velocity, {"clean": clean, "noise": noise})


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


def told_apart(drawn: Tensor, real: Tensor) -> float:
    """Return how often the nearest neighbour of an image is of its own kind.

    0.5 where drawn and real images cannot be told apart, 1 where they always can.
    """
    both = torch.cat([drawn, real])
    kind = torch.arange(len(both)) < len(drawn)
    nearest = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    return (kind[nearest] == kind).double().mean().item()


def main() -> None:
    """Train three models and print how well their images pass for digits they have not seen."""
    torch.manual_seed(0)
    pixels = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
    seen, unseen = train_test_split(pixels, test_size=0.3, random_state=0)
    count = len(unseen)

    def show(name: str, images: Tensor) -> None:
        print(f"{name:36} {told_apart(images.clamp(-1, 1), unseen):.3f}", flush=True)

    print("How often drawn and unseen digits are told apart: 0.5 never, 1 always")
    show("noise", torch.randn(count, 64))
    show("a Gaussian fitted to the digits", gaussian(seen, count))
    for prediction, weighting in (("eps", "uniform"), ("v", "min_snr")):
        loss = lossmith.Denoising(prediction=prediction, weighting=weighting)
        images = draw_diffusion(train(diffuse(loss), seen), count, prediction)
        show(f"diffusion, {prediction}, {weighting}", images)
    show("flow matching", draw_flow(train(flow, seen), count))
    show("as many digits of the training set", seen[:count])


def gaussian(seen: Tensor, count: int) -> Tensor:
    """Draw from a Gaussian with the digits' mean and covariance."""
    cov = seen.T.cov() + 1e-6 * torch.eye(64)
    return torch.distributions.MultivariateNormal(seen.mean(0), cov).sample((count,))


if __name__ == "__main__":
    main()

"""Train R3GAN on scikit-learn's digits: relativistic pairs with both gradient penalties.

python examples/gan.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import lossmith
from lossmith import functional as F

STEPS, BATCH, NOISE = 2000, 64, 16


def network(inputs: int, outputs: int, width: int = 128) -> nn.Sequential:
    """Return two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )


def train(images: Tensor, gamma: float) -> nn.Module:
    """Train a generator against a critic, one step each in turn; return its weights' average."""
    generator = nn.Sequential(network(NOISE, 64), nn.Tanh())
    critic = nn.Sequential(network(64, 1), nn.Flatten(0))
    mean = torch.optim.swa_utils.AveragedModel(
        generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    judge = lossmith.R3GAN(gamma=gamma)
    forge = lossmith.R3GAN(side="generator")
    rates = {"lr": 1e-3, "betas": (0.0, 0.99)}
    of_critic = torch.optim.Adam(critic.parameters(), **rates)
    of_generator = torch.optim.Adam(generator.parameters(), **rates)
    for _ in range(STEPS):
        real = images[torch.randint(len(images), (BATCH,))]
        fake = generator(torch.randn(BATCH, NOISE))
        r, at_real = F.score_gradient(critic, real)
        f, at_fake = F.score_gradient(critic, fake)
        given = {"real": r, "fake": f, "real_gradient": at_real, "fake_gradient": at_fake}
        of_critic.zero_grad()
        judge(given).backward()
        of_critic.step()
        of_generator.zero_grad()
        forge({"real": critic(real).detach(), "fake": critic(fake)}).backward()
        of_generator.step()
        mean.update_parameters(generator)
    return mean.module


def told_apart(drawn: Tensor, real: Tensor) -> float:
    """Return how often the nearest neighbour of an image is of its own kind.

    0.5 where drawn and real images cannot be told apart, 1 where they always can.
    """
    both = torch.cat([drawn, real])
    kind = torch.arange(len(both)) < len(drawn)
    nearest = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    return (kind[nearest] == kind).double().mean().item()


def main() -> None:
    """Train with and without the penalties and print how well the images pass for digits."""
    torch.manual_seed(0)
    pixels = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
    seen, unseen = train_test_split(pixels, test_size=0.3, random_state=0)
    noise = torch.randn(len(unseen), NOISE)
    print("How often drawn and unseen digits are told apart: 0.5 never, 1 always")
    untrained = nn.Sequential(network(NOISE, 64), nn.Tanh())
    print(
        f"{'untrained generator':36} {told_apart(untrained(noise).detach(), unseen):.3f}",
        flush=True,
    )
    for gamma in (0.0, 1.0):
        images = train(seen, gamma)(noise).detach()
        score = told_apart(images, unseen)
        print(f"{f'R3GAN, gamma {gamma:g}':36} {score:.3f}", flush=True)
    print(
        f"{'as many digits of the training set':36} {told_apart(seen[: len(unseen)], unseen):.3f}"
    )


if __name__ == "__main__":
    main()

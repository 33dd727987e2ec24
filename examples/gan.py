"""Does a GAN need gradient penalties? R3GAN on scikit-learn's digits, with and without.

python examples/gan.py [folder]

Judged by how often drawn and unseen digits are told apart by their nearest neighbours: 0.5 is
never. Two networks train in turn; the loss that is compared is the critic's.
"""

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold
from torch import Tensor, nn

import lossmith
from lossmith import Study
from lossmith import functional as F

EPOCHS, STEPS, BATCH, NOISE = 4, 300, 64, 16


def network(inputs: int, outputs: int, width: int = 128) -> nn.Sequential:
    """Return two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )


class Pair:
    """A generator against a critic, one step each in turn, and the average of its weights."""

    def __init__(self, judge: lossmith.Loss, learning_rate: float) -> None:
        self.judge, self.forge = judge, lossmith.R3GAN(side="generator")
        self.generator = nn.Sequential(network(NOISE, 64), nn.Tanh())
        self.critic = nn.Sequential(network(64, 1), nn.Flatten(0))
        self.mean = torch.optim.swa_utils.AveragedModel(
            self.generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
        )
        rates = {"lr": learning_rate, "betas": (0.0, 0.99)}
        self.of_critic = torch.optim.Adam(self.critic.parameters(), **rates)
        self.of_generator = torch.optim.Adam(self.generator.parameters(), **rates)

    def step(self, real: Tensor) -> None:
        """Train the critic, then the generator."""
        fake = self.generator(torch.randn(len(real), NOISE))
        r, at_real = F.score_gradient(self.critic, real)
        f, at_fake = F.score_gradient(self.critic, fake)
        given = {"real": r, "fake": f, "real_gradient": at_real, "fake_gradient": at_fake}
        self.of_critic.zero_grad()
        self.judge(given).backward()
        self.of_critic.step()
        self.of_generator.zero_grad()
        self.forge({"real": self.critic(real).detach(), "fake": self.critic(fake)}).backward()
        self.of_generator.step()
        self.mean.update_parameters(self.generator)


@torch.no_grad()
def told_apart(drawn: Tensor, real: Tensor) -> Tensor:
    """Return for each pair of images how often their nearest neighbours are of their own kinds.

    The mean is 0.5 where drawn and real images cannot be told apart, 1 where they always can.
    """
    both = torch.cat([drawn, real])
    kind = torch.arange(len(both)) < len(drawn)
    nearest = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1)
    return (kind[nearest] == kind).float().reshape(2, -1).mean(0)


def main(folder: str = "runs/gan") -> None:
    """Compare the penalties on five folds and print the verdict."""
    images = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
    study = Study(
        folder,
        metric="told apart",
        better="lower",
        losses={f"gamma {gamma:g}": lossmith.R3GAN(gamma=gamma) for gamma in (0.0, 0.1, 1.0)},
        default="gamma 0",
        splits=KFold(5, shuffle=True, random_state=0).split(images),
        learning_rates=[1e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            pair, seen = Pair(trial.loss, trial.learning_rate), images[trial.train]
            for _ in trial.epochs:
                for _ in range(STEPS):
                    pair.step(seen[torch.randint(len(seen), (BATCH,))])
                drawn = pair.mean.module(torch.randn(len(trial.valid), NOISE))
                if trial.report(rows=told_apart(drawn, images[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])

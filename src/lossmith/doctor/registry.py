"""All that the doctor looks for, in the order in which it is told."""

from collections.abc import Callable, Iterator

from lossmith.doctor import gradients, metric, probabilities, rows, shapes, targets, training
from lossmith.doctor.findings import Finding, Findings
from lossmith.doctor.seen import Seen

Check = Callable[[Seen], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    probabilities.probabilities_as_logits,
    probabilities.bounded_logits,
    probabilities.logits_as_probabilities,
    probabilities.overlap_of_logits,
    probabilities.softmax_over_the_batch,
    probabilities.mean_of_a_divergence,
    shapes.broadcast,
    shapes.class_count,
    targets.labels_out_of_range,
    targets.negative_counts,
    targets.mask_for_distances,
    targets.no_distribution,
    targets.beyond_the_head,
    targets.unscaled,
    targets.ignored_share,
    targets.padding_learnt,
    gradients.not_finite,
    gradients.no_gradient,
    gradients.saturated_head,
    gradients.saturated_logits,
    gradients.silent_rows,
    gradients.linear_arm,
    gradients.away_from_target,
    gradients.terms_apart,
    metric.elicitation,
    training.counted_twice,
    training.means_of_uneven_batches,
    training.untrained_numbers,
    training.stale_optimizer,
    rows.duplicated,
    rows.leaking_column,
    rows.shared_rows,
)


def examine(seen: Seen) -> Findings:
    """Return all that is found; that a part raises is told where nothing says why."""
    found = [finding for check in CHECKS for finding in check(seen)]
    told = any(one.severity == "error" for one in found)
    if seen.failed and (seen.failed[0] == "model" or not told):
        part, error = seen.failed
        text = f"{type(error).__name__}: {error}".strip()
        finding = Finding(
            name=f"the {part} fails",
            severity="error",
            evidence=text if len(text) < 400 else f"{text[:400]}…",
            remedy="mend this first: little else can be seen",
        )
        found.insert(0, finding)
    return Findings(found)

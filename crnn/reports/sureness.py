"""How sure a model was: as the part of a result's JSON, and as lines for a screen."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping

from crnn.results import Kept, Rejection, Sureness


def to_dict(sureness: Sureness) -> Dict[str, Any]:
    """Return the figures as plain data; a key is there only where it has a value.

    Args:
        sureness: How well probabilities tell right words from wrong.

    Returns:
        What stands under ``sureness`` in a result.
    """
    data: Dict[str, Any] = {
        "words": sureness.words,
        "ece": sureness.ece,
        "bins": [],
        "curve": [],
    }
    if sureness.auroc is not None:
        data["auroc"] = sureness.auroc
    for one in sureness.bins:
        data["bins"].append(
            {
                "count": one.count,
                "probability": one.probability,
                "correct": one.correct,
                "accuracy": one.correct / one.count,
            }
        )
    for share, threshold, accuracy in sureness.curve:
        data["curve"].append({"kept": share, "threshold": threshold, "accuracy": accuracy})
    if sureness.rejection is not None:
        data["rejection"] = _rejection(sureness.rejection)
    return data


def _rejection(rejection: Rejection) -> Dict[str, Any]:
    total = rejection.total
    data: Dict[str, Any] = {
        "threshold": rejection.threshold,
        "total": total,
        "rejected": total - rejection.kept.count,
        **_kept(rejection.kept, total),
    }
    if rejection.wanted is not None:
        data["wanted"] = rejection.wanted
    if rejection.transferred is not None:
        data["transferred"] = _kept(rejection.transferred, total)
    if rejection.found is not None:
        data["found"] = dict(rejection.found)
    return data


def _kept(kept: Kept, total: int) -> Dict[str, Any]:
    data: Dict[str, Any] = {"kept": kept.count, "kept_correct": kept.correct}
    if total:
        data["kept_share"] = kept.count / total
    if kept.count:
        data["kept_accuracy"] = kept.correct / kept.count
        data["kept_interval95"] = list(kept.interval95)
    return data


def lines(sureness: Sureness) -> Iterator[str]:
    """Yield what a person reads of the figures.

    Args:
        sureness: How well probabilities tell right words from wrong.

    Yields:
        A line each.
    """
    separation = "all right or all wrong"
    if sureness.auroc is not None:
        separation = f"AUROC {sureness.auroc:.4f}"
    yield f"sureness   {separation}, expected calibration error {sureness.ece:.4f}"
    if sureness.rejection is not None:
        yield from rejection_lines(sureness.rejection)


def table(sureness: Sureness) -> Iterator[str]:
    """Yield the reliability table and the accuracy of the surest words.

    Args:
        sureness: How well probabilities tell right words from wrong.

    Yields:
        A line each.
    """
    yield "probability  right     words   (bins of equal count)"
    for one in sureness.bins:
        yield f"{one.probability:11.4f}  {one.correct / one.count:.4f}  {one.count:7d}"
    yield "kept        right     at or above"
    for share, threshold, accuracy in sureness.curve:
        yield f"{100 * share:9.0f} %  {accuracy:.4f}  {threshold:.4f}"


def rejection_lines(rejection: Rejection) -> Iterator[str]:
    """Yield what was kept, a sentence each.

    Args:
        rejection: What was rejected.

    Yields:
        The words kept by the threshold; where it was found on them, what it would keep of others;
        where it came from another set, what it kept there.
    """
    total = rejection.total
    if rejection.wanted is not None and not rejection.kept.count:
        yield f"kept       nothing: no threshold makes {rejection.wanted:g} of the kept words right"
        return
    rejected = total - rejection.kept.count
    mark = f"{rejected} rejected, below {rejection.threshold:.4f}"
    if rejection.wanted is not None:
        mark += ", found on these words"
    yield f"kept       {_sentence(rejection.kept, total)}; {mark}"
    if rejection.transferred is not None:
        yield (
            f"           transferred, found on every other word and used on the rest:"
            f" {_sentence(rejection.transferred, total)}"
        )
    if rejection.found is not None:
        yield f"           where it was found: {_found(rejection.found)}"


def _sentence(kept: Kept, total: int) -> str:
    if not kept.count:
        return "0 %"
    low, high = kept.interval95
    return (
        f"{100 * kept.count / total:.1f} %, {100 * kept.correct / kept.count:.1f} % of them right"
        f" ({kept.correct} of {kept.count}; 95 % interval {low:.4f} to {high:.4f})"
    )


def _found(found: Mapping[str, Any]) -> str:
    share, accuracy = found.get("kept_share"), found.get("kept_accuracy")
    if share is None or accuracy is None:
        return str(found["file"])
    return f"{100 * share:.1f} %, {100 * accuracy:.1f} % of them right ({found['file']})"

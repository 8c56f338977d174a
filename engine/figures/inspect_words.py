"""What Inspect says in sentences and short lists, from a run's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from engine.figures.groups import chip
from engine.figures.numbers import copies, count, duration, percent, power_of_ten, size_in_bytes

Summary = Mapping[str, Any]
LISTED = 200
OPERATIONS = 10
OUTCOMES = ("units", "exact", "tied", "wrong")


def inspect_headline(summary: Summary) -> str:
    """Return the sentence above everything: how many networks compute the same function."""
    symmetry = summary.get("symmetry")
    if symmetry is None:
        unknown = summary.get("problem")
        return "The architecture is not known" if unknown else "Reading the network…"
    if not symmetry["groups"]:
        return "No permutation of units leaves this network the same"
    total = copies(symmetry["log10_copies"])
    return f"{total} networks compute the same function"


def subject_line(summary: Summary) -> str:
    """Return what the network is, in one line: name, architecture, parameters, size."""
    tensors = summary.get("tensors") or ()
    parts = [str((summary.get("checkpoint") or {}).get("name", ""))]
    model = summary.get("model")
    if model is not None:
        parts += [str(model["title"]), f"{count(model['parameters'])} parameters"]
    word = "tensor" if len(tensors) == 1 else "tensors"
    parts.append(f"{count(len(tensors))} {word}")
    parts.append(size_in_bytes(sum(tensor["bytes"] for tensor in tensors)))
    return " · ".join(filter(None, parts))


def proof_words(summary: Summary, seconds: float | None = None) -> tuple[str, str]:
    """Return how the proof stands in a word or two, and in a sentence."""
    proof = summary.get("proof")
    if proof is None:
        if summary.get("symmetry") is None:
            return "", ""
        read = (summary.get("checkpoint") or {}).get("sha256")
        why = "the proof follows in a moment." if read else "only the file's headers were read."
        return "Not proved yet:", why
    if not proof["passed"]:
        reason = str(proof["reason"]).rstrip(".")
        return "Not proved:", f"{reason}."
    if not proof["trials"]:
        return "Nothing to prove:", "there is no group."
    took = f", {duration(seconds)}" if seconds is not None else ""
    return "Proved:", (
        f"{proof['trials']} random permutations of all groups changed no output of this very "
        f"network by more than {power_of_ten(proof['max_abs_difference'])} (float64{took})."
    )


def inspect_metrics(summary: Summary) -> list[tuple[str, str, str]]:
    """Return the numbers to show large: (label, value, note)."""
    symmetry = summary.get("symmetry")
    if symmetry is None:
        return []
    groups = symmetry["groups"]
    units = sum(group["size"] * group["copies"] for group in groups)
    nested = sum(group["copies"] > 1 for group in groups)
    total = max(symmetry["total_parameters"], 1)
    share = symmetry["moved_parameters"] / total
    without = symmetry["ops_without_rule"]
    return [
        ("Permutation groups", count(len(groups)), f"{nested} nested" if nested else ""),
        ("Units that permute", count(units), ""),
        ("Parameters that move", f"{percent(share)}\u202f%", f"of {count(total)}"),
        ("Ops without a rule", str(len(without)), ", ".join(without[:2])),
    ]


def graph_sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return what the graph takes, does and returns, in two sentences."""
    given = " and ".join(f"{one['name']} {_sizes(one)}" for one in facts["inputs"])
    made = f", returns {_sizes(facts['output'])}" if facts["output"] else ""
    done = [f"{name} {count(n)}" for name, n in by_frequency(facts["operations"])]
    rest = f" and {count(len(done) - OPERATIONS)} kinds more" if len(done) > OPERATIONS else ""
    total = count(sum(facts["operations"].values()))
    return [
        f"It takes {given}{made}.",
        f"{total} operations: {', '.join(done[:OPERATIONS])}{rest}.",
    ]


def by_frequency(operations: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return names with how often they occur, most frequent first."""
    return sorted(operations.items(), key=lambda item: (-item[1], item[0]))


def _sizes(value: Mapping[str, Any]) -> str:
    sizes = ("?" if size is None else str(size) for size in value["shape"])
    return f"[{', '.join(('batch', *sizes))}] ({value['dtype']})"


def fixed_html(symmetry: Mapping[str, Any]) -> str:
    """Return what is fixed and why, a foldable line for each reason."""
    rows = []
    for sentence in symmetry["fixed"]:
        where, _, reason = sentence.rpartition(": ")
        places = where.split("; ")
        word = "tensor" if len(places) == 1 else "tensors"
        items = "".join(f"<li><code>{escape(place)}</code></li>" for place in places[:LISTED])
        more = len(places) - LISTED
        items += f"<li>and {count(more)} more</li>" if more > 0 else ""
        rows.append(
            f"<details><summary><b>{escape(reason)}</b><span>{count(len(places))} {word}</span>"
            f"</summary><ul>{items}</ul></details>"
        )
    return f'<div class="bs-groups bs-fixed">{"".join(rows)}</div>'


def recovery_html(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return the self-test's outcome group by group."""
    head = "".join(f"<th>{word}</th>" for word in ("group", "", *OUTCOMES))
    lines = "".join(
        f"<tr><td>{chip(group['number'])}</td><td>{escape(group['name'])}</td>"
        + "".join(
            f"<td>{_counted(group, what)}</td>" for what in ("units", "exact", "tied", "wrong")
        )
        + "</tr>"
        for group in groups[:LISTED]
    )
    more = len(groups) - LISTED
    rest = f'<p class="bs-muted">and {count(more)} more groups</p>' if more > 0 else ""
    return f'<div class="bs-table bs-recovery"><table><tr>{head}</tr>{lines}</table>{rest}</div>'


def _counted(group: Mapping[str, Any], what: str) -> str:
    number = count(group[what])
    return f'<b class="bs-bad">✕ {number}</b>' if what == "wrong" and group[what] else number

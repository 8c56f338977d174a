"""What `inspect` prints without `--json`: short, long lists folded; `--json` has everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.figures.groups import nested_words
from engine.figures.inspect_words import by_frequency
from engine.figures.numbers import copies, size_in_bytes
from engine.figures.tree import tensor_tree, tree_lines

Report = Mapping[str, Any]
MOST_GROUPS, MOST_REASONS, MOST_WIDTH = 12, 8, 96
MOST_TREE_ROWS = 400
MOST_OPERATIONS = 12
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def inspection_text(report: Report, *, tree: bool = False) -> str:
    """Return one file's report as lines of text."""
    lines = [_title(report), *(f"  {note}" for note in report["notes"])]
    if report["problem"]:
        lines += [f"not as it should be: {report['problem']}"]
    if tree or "groups" not in report:
        lines += ["tensors", *_indented(_tree(report))]
    if "groups" in report:
        lines += _recognition(report)
        lines += _facts(report["facts"])
        lines += _symmetry(report)
        lines += [_proof(report)]
    if report["self_test"] is not None:
        lines += _self_test(report["self_test"])
    return "\n".join(lines)


def _title(report: Report) -> str:
    tensors = report["tensors"]
    parts = [f"{report['parameters']:,} parameters"] if "parameters" in report else []
    parts.append(f"{len(tensors):,} tensor{'s' * (len(tensors) != 1)}")
    size = _plain(size_in_bytes(sum(tensor["bytes"] for tensor in tensors)))
    parts.append(f"{size} ({report['format']})")
    title = report.get("title", "architecture unknown")
    return f"{report['name']}: {title}, {', '.join(parts)}"


def _plain(text: str) -> str:
    """Return a number of the pages as terminals show it: 10^3499, 3.7 MB."""
    first = next((at for at, letter in enumerate(text) if letter in RAISED), None)
    if first is not None:
        text = f"{text[:first]}^{text[first:]}"
    return text.translate(str.maketrans(RAISED + "\u202f", "0123456789 "))


def _tree(report: Report) -> list[str]:
    return tree_lines(tensor_tree(report["tensors"]), MOST_TREE_ROWS)


def _recognition(report: Report) -> Iterator[str]:
    for title in ("evidence", "assumptions"):
        if report[title]:
            yield "assumed" if title == "assumptions" else title
            yield from _indented(report[title])


def _facts(facts: Report) -> Iterator[str]:
    """Say what the graph takes, does and returns."""
    yield "graph"
    takes = "; ".join(f"{given['name']} {_sizes(given)}" for given in facts["inputs"])
    yield f"  takes {takes}"
    if facts["output"] is not None:
        yield f"  returns {_sizes(facts['output'])}"
    done = [f"{name} {n}" for name, n in by_frequency(facts["operations"])]
    more = f", and {len(done) - MOST_OPERATIONS} kinds more" if len(done) > MOST_OPERATIONS else ""
    total = sum(facts["operations"].values())
    yield f"  {total:,} operations: {', '.join(done[:MOST_OPERATIONS])}{more}"


def _sizes(value: Report) -> str:
    sizes = ("?" if size is None else str(size) for size in value["shape"])
    return f"[{', '.join(('batch', *sizes))}] {value['dtype']}"


def _symmetry(report: Report) -> Iterator[str]:
    groups, total = report["groups"], max(report["total_parameters"], 1)
    if groups:
        share = report["moved_parameters"] / total
        yield (
            f"{_plain(copies(report['log10_copies']))} networks compute the same function: "
            f"{len(groups)} permutation group{'s' * (len(groups) > 1)}, "
            f"{share:.1%} of the parameters move"
        )
    else:
        yield "no permutation of units leaves this network the same"
    yield from _indented(_folded([_group(group) for group in groups], MOST_GROUPS, "groups"))
    reasons = [_reason(sentence) for sentence in report["fixed"]]
    yield "fixed"
    yield from _indented(_folded(reasons, MOST_REASONS, "reasons"))
    yield f"ops without a rule: {', '.join(report['ops_without_rule']) or 'none'}"


def _group(group: Report) -> str:
    layers = group["layers"]
    where = f"{len(layers)} tensors" if len(layers) > 1 else layers[0]
    nested = _plain(nested_words(group))
    words = f"{group['name']}: {group['size']} units in {where}"
    return f"[{group['number']}] {words}{f' ({nested})' if nested else ''}"


def _reason(sentence: str) -> str:
    """Return a reason with its places, as many as fit into a line."""
    where, _, reason = sentence.rpartition(": ")
    places = where.split("; ")
    text = f"{reason}: {places[0]}"
    for at, place in enumerate(places[1:], start=1):
        if len(text) + len(place) > MOST_WIDTH:
            return f"{text} and {len(places) - at} more"
        text += f"; {place}"
    return text


def _proof(report: Report) -> str:
    proof = report["proof"]
    if proof is None:
        return "proof: none, since the weights were not read"
    if not proof["passed"]:
        return f"not proved: {proof['reason']}"
    if not proof["trials"]:
        return "proof: there is nothing to prove"
    return (
        f"proof: {proof['trials']} random permutations changed no output by more than "
        f"{proof['max_abs_difference']:.1e} (float64)"
    )


def _self_test(test: Report) -> Iterator[str]:
    word = "recovered" if test["recovered"] else "NOT recovered"
    sweeps = "1 sweep" if test["sweeps"] == 1 else f"{test['sweeps']} sweeps"
    yield (
        f"self-test: {test['exact'] + test['tied']:,} of {test['units']:,} units {word} in "
        f"{test['seconds']:.1f} s ({sweeps}, seed {test['seed']})"
    )
    yield f"  {test['sentence']}"


def _folded(lines: Sequence[str], most: int, what: str) -> list[str]:
    if len(lines) <= most + 1:
        return list(lines)
    return [*lines[:most], f"… and {len(lines) - most} more {what} (--json lists them all)"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]

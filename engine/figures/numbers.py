"""Numbers as the pages write them: short, honest about what is missing, never rounded to a lie."""

from __future__ import annotations

import math
from typing import TypeGuard

THIN = "\u202f"  # groups digits, never broken over two lines
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def is_number(value: float | None) -> TypeGuard[float]:
    """Say whether `value` is there and finite; a summary holds null for a diverged loss."""
    return value is not None and math.isfinite(value)


def plain(value: float | None, digits: int = 3) -> str:
    """Write a loss or barrier: .842, 1.44, −.003; "not a number" where it diverged."""
    if value is None or not math.isfinite(value):
        return "not a number"
    text = f"{abs(value):.{digits}f}"
    if float(text) >= 1000:
        text = power_of_ten(abs(value))
    elif text.startswith("0."):
        text = text[1:]
    return f"−{text}" if value < 0 and text.strip(".0") else text


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share of 1 as per cent, without its sign: 98.1."""
    return f"{100 * share:.{digits}f}" if is_number(share) else "not a number"


def count(value: int) -> str:
    """Write a whole number with its digits grouped: 932 362."""
    return f"{value:,}".replace(",", THIN)


def superscript(exponent: int) -> str:
    """Write an exponent in raised digits: ⁻⁶."""
    return str(exponent).translate(_SUPERSCRIPT)


def power_of_ten(value: float | None) -> str:
    """Write a very small or large number: 8·10⁻⁶; 0 for exact equality."""
    if value is None or not math.isfinite(value):
        return "not a number"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    lead = round(value / 10**exponent)
    if abs(lead) == 10:
        lead, exponent = lead // 10, exponent + 1
    return f"{lead}·10{superscript(exponent)}".replace("-", "−")


def copies(log10_copies: float) -> str:
    """Write how many networks compute the same function: 10³⁴⁹⁹, or a plain count."""
    if log10_copies < 6:
        return count(round(10**log10_copies))
    return f"10{superscript(math.floor(log10_copies))}"


def duration(seconds: float | None) -> str:
    """Write a time: .9 s, 42 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size_in_bytes(value: int) -> str:
    """Write a size on disk or in memory: 820 B, 3.7 MB, 1.1 GB."""
    size, unit = float(value), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    digits = 1 if unit != "B" and size < 99.95 else 0
    return f"{size:.{digits}f}\u202f{unit}"

"""Text that came with files or addresses, shown as it is written.

Streamlit reads messages and labels as Markdown. A name such as `![](http://…)` in a stranger's
file, or in a link to this page, would load a picture from elsewhere or lead there.
"""

from __future__ import annotations

import re

_ACTIVE = re.compile(r"([\\*\[\]<$~])")


def literal(text: object) -> str:
    """Return Markdown that shows `text` letter by letter; code between backticks stays code."""
    return _ACTIVE.sub(r"\\\1", str(text))

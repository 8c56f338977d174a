"""Guide: what is drawn, in plain words; the definitions, the limits, the papers."""

from __future__ import annotations

import streamlit as st

from engine.errors import BasinscopeError
from engine.figures import DEFINITIONS, plane_figure, plane_preview
from pages.ui import engine_access as access
from pages.ui.launch import through_app
from pages.ui.look import square_chart, theme

INTRODUCTION = """
Train the same network twice, from two random starts, and you get two sets of weights, **A** and
**B**. Both work, yet half-way between them the loss is often terrible: they seem to lie in
different valleys, with a **barrier** between.

But the units of a hidden layer have no order. Swap two of them, together with everything that
reads them, and the network computes exactly the same function from other weights. A small network
already has more such copies than there are atoms in the universe. Basinscope finds the reordering
**π** that brings B as near to A as it can, checks that **π(B) computes the same as B**, and shows
what becomes of the barrier.
"""

PICTURE = """
**The plane.** Three points span a plane: A (circle), B (square), π(B) (triangle). Every point of it
is a full set of weights, and its colour is the loss of that network, computed, not sketched. The
horizontal axis runs from A to B, the vertical one at a right angle to it towards π(B); both are in
units of the distance from A to B, so that angles and distances are true. Dark is low. Dashed white
lines enclose the *basins*, connected regions under a stated loss. Hatched ground marks networks
whose loss is not a number.

**The edges.** Orange, A to B: two networks as they were trained. Green, A to π(B): the same two
networks after reordering. Dotted grey, B to π(B): one and the same function at both ends, and still
a barrier between. The curves show the loss along these edges; the solid line is for test data with
a band of one standard error, the dashed line for training data.

**The proof.** Before anything is drawn, random reorderings of all groups are checked to leave the
output unchanged to rounding error, in double precision, for this very network; then the largest
difference in any output of B and π(B) is measured on the data.
"""

ELSEWHERE = """
### Other planes, and curves
**Planes** go through any three networks, along two random directions around one, through the
principal components of a training, or along the two directions in which one is most curved.

**Paths** are curves whose bends are trained until the loss is low all along, from A to B or to
π(B): where the straight line has a barrier, a curve may have none.
"""

LIMITS = """
- A plane is a thin slice of a space with as many dimensions as there are weights. It can show that
  two networks are connected; it cannot rule out a connection elsewhere.
- Weight matching finds a good reordering, not provably the best one. What is left of a barrier is
  an upper bound.
- Some pairs do not re-basin: narrow networks, networks early in training, low learning rates with
  SGD, high ones with Adam.
- Barriers are measured on a sample of the data, with the standard error shown beside them.
- With BatchNorm the stored statistics fit neither end nor middle. They are recomputed at each point
  unless you choose otherwise.
- Only reorderings of units are considered, no scalings or rotations.
"""

PAPERS = """
- Ainsworth, Hayase, Srinivasa 2022, *Git Re-Basin: Merging models modulo permutation symmetries*,
  [arXiv 2209.04836](https://arxiv.org/abs/2209.04836): weight matching, the barrier, the plane.
- Entezari, Sedghi, Saukh, Neyshabur 2021, *The role of permutation invariance in linear mode
  connectivity of neural networks*, [arXiv 2110.06296](https://arxiv.org/abs/2110.06296): the
  conjecture that one basin is enough.
- Frankle, Dziugaite, Roy, Carbin 2019, *Linear mode connectivity and the lottery ticket
  hypothesis*, [arXiv 1912.05671](https://arxiv.org/abs/1912.05671): instability along a line.
- Fort, [*dissect-git-re-basin*](https://github.com/stanislavfort/dissect-git-re-basin): a
  replication, with pairs that stay apart.
- Jordan, Sedghi, Saukh, Entezari, Neyshabur 2022, *REPAIR: REnormalizing Permuted Activations for
  Interpolation Repair*, [arXiv 2211.08403](https://arxiv.org/abs/2211.08403): why statistics must
  be reset.
"""


def illustration() -> None:
    """Draw the built-in run's plane, small, where there is one."""
    run_id = access.builtin_run()
    if run_id is None:
        return
    try:
        found = access.result(access.store().status(run_id))
    except BasinscopeError:
        return
    square_chart(
        lambda: plane_figure(found.arrays, found.summary, theme=theme()),
        "guide_plane",
        "The built-in pair's plane with A, B and π(B)",
        preview=plane_preview(found.arrays, found.summary, theme=theme()),
    )
    st.caption("The built-in pair: two networks that read handwritten digits.")


through_app()
st.html('<h1 class="bs-headline">What you see, and what it means</h1>')
left, right = st.columns([1.35, 1], gap="large")
with left:
    st.markdown(INTRODUCTION)
    st.markdown("### The picture")
    st.markdown(PICTURE)
with right:
    illustration()
st.markdown("### How high is a barrier?")
st.markdown("With L(λ) the loss at (1 − λ) A + λ B, λ from 0 to 1, and E(λ) the error rate:")
st.markdown(
    "\n".join(
        f"- **{d.title}** `{d.formula}`. {d.words} [{d.source}]({d.link})" for d in DEFINITIONS
    )
)
st.markdown(ELSEWHERE)
st.markdown("### What it cannot show")
st.markdown(LIMITS)
st.markdown("### Papers")
st.markdown(PAPERS)

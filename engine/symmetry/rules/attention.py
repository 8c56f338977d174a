"""Attention as one op: softmax(q kᵀ + mask) v, with as many heads for k and v or fewer."""

from __future__ import annotations

from engine.symmetry.rules.registry import Axes, Call, NoRuleError, Value, replaced, rule


@rule("scaled_dot_product_attention")
def attention(call: Call) -> Value:
    """Head size of q and k is contracted; positions of k, v and the mask go together."""
    q, k, v, mask = (*map(call.axes, ("query", "key", "value")), call.optional("attn_mask"))
    if call.arguments.get("dropout_p"):
        raise NoRuleError
    call.unify(q[-1], k[-1])
    call.unify(k[-2], v[-2])
    if call.arguments.get("is_causal"):
        call.fix((q[-2], k[-2]), "masks positions by their order")
    if call.arguments.get("enable_gqa"):
        k, v = (_repeated(call, q, part) for part in (k, v))
    batch = call.broadcast([q[:-2], k[:-2], v[:-2]], call.shape[:-2])
    if mask is not None:
        call.broadcast([(*batch, q[-2], k[-2]), mask], (*call.shape[:-1], k[-2].size))
    return (*batch, q[-2], v[-1])


def _repeated(call: Call, q: Axes, part: Axes) -> Axes:
    """Return k or v with its heads repeated in a row until they are as many as those of q."""
    at, have = len(part) - 3, part[-3].size
    if q[-3].size % have:
        raise NoRuleError
    algebra = call.algebra
    copies = algebra.unvarying(q[-3].size // have)
    return replaced(part, at, algebra.product([algebra.resolve(part[-3]), copies]))

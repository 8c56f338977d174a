"""Which operations a graph from a stranger may ask for.

A closed list: ATen operations that compute a tensor from tensors and nothing else. Left out, and
so refused, are operations that draw random numbers, read files or storages, show memory that
nobody has written, look at values (`item`), make sparse, quantised or nested tensors, exist for
one device or for backward passes, and everything outside ATen. Overloads that write into an
argument of the caller's (`out`) are refused too; in-place ones (`relu_`) are rewritten later.
"""

from __future__ import annotations

import re


def _names(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_POINTWISE = """
abs absolute acos acosh add addcdiv addcmul __and__ angle arccos arccosh arcsin arcsinh arctan
arctan2 arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or
bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip clone complex _conj conj
_conj_physical conj_physical copysign cos cosh deg2rad digamma div divide elu eq erf erfc erfinv
exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac ge gelu greater
greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot imag isclose isfinite
isinf isnan isneginf isposinf isreal le leaky_relu lerp less less_equal lgamma log log10 log1p
log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
__lshift__ lt masked_fill max maximum min minimum mish mul multiply nan_to_num ne neg negative
not_equal __or__ polar positive pow prelu _prelu_kernel rad2deg real reciprocal relu relu6
remainder resolve_conj resolve_neg round rrelu __rshift__ rsqrt rsub selu sgn sigmoid sign signbit
silu sin sinc sinh softplus softshrink special_digamma special_entr special_erf special_erfc
special_erfinv special_exp2 special_expit special_expm1 special_i0 special_log1p special_logit
special_ndtr special_round special_sinc special_xlog1py special_xlogy sqrt square sub subtract tan
tanh threshold true_divide trunc where xlogy __xor__
"""

_CONTRACTIONS = """
addbmm addmm addmv addr baddbmm bilinear bmm cdist chain_matmul conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d _convolution convolution cosine_similarity
cross dot einsum embedding _euclidean_dist ger inner kron linalg_cross linalg_matmul
linalg_multi_dot linalg_vecdot linear matmul mm mv outer pairwise_distance pdist
scaled_dot_product_attention tensordot vdot
"""

_NORMS = """
batch_norm _batch_norm_no_update _fused_rms_norm group_norm instance_norm layer_norm linalg_norm
linalg_vector_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
native_group_norm native_layer_norm norm norm_except_dim rms_norm _weight_norm
_weight_norm_interface
"""

_REDUCTIONS = """
adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool3d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d all amax amin
aminmax any argmax argmin argsort avg_pool1d avg_pool2d avg_pool3d bucketize count_nonzero cummax
cummin cumprod cumsum diff histc kthvalue _log_softmax log_softmax logcumsumexp logsumexp max_pool1d
max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices mean
median mode msort nanmean nanmedian nansum one_hot prod _safe_softmax _softmax softmax sort
special_log_softmax special_logsumexp special_softmax std std_mean sum topk trace var var_mean
"""

_SHAPES = """
adjoint alias alias_copy as_strided as_strided_copy atleast_1d atleast_2d atleast_3d
broadcast_tensors broadcast_to cat channel_shuffle chunk column_stack concat concatenate
contiguous copy detach detach_copy diagonal diagonal_copy dstack expand expand_as expand_copy fill
flatten flip fliplr flipud hsplit hstack lift_fresh lift_fresh_copy linalg_diagonal mH mT matrix_H
meshgrid moveaxis movedim narrow narrow_copy native_channel_shuffle numpy_T permute permute_copy
pixel_shuffle pixel_unshuffle ravel repeat repeat_interleave reshape _reshape_alias reshape_as
roll rot90 select select_copy slice slice_copy split split_copy split_with_sizes
split_with_sizes_copy squeeze squeeze_copy stack swapaxes swapdims sym_numel sym_size
sym_storage_offset sym_stride t t_copy tensor_split tile transpose transpose_copy unbind
unbind_copy unflatten unfold unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes
_unsafe_view unsqueeze unsqueeze_copy view view_as view_as_complex view_as_real view_copy vsplit
vstack zero
"""

_INDEXING = """
affine_grid_generator as_strided_scatter col2im constant_pad_nd diag diag_embed diagonal_scatter
gather glu grid_sampler grid_sampler_2d grid_sampler_3d im2col index index_add index_copy
index_fill index_put index_select masked_scatter pad _pad_circular _pad_enum reflection_pad1d
reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d scatter
scatter_add scatter_reduce searchsorted select_scatter slice_scatter take take_along_dim tril
tril_indices triu triu_indices upsample_bicubic2d _upsample_bicubic2d_aa upsample_bilinear2d
_upsample_bilinear2d_aa upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_trilinear3d
"""

_RECURRENT = """
gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell
"""

_FOURIER = """
fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift
fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn
"""

_MAKING = """
arange cpu eye full full_like linspace logspace new_full new_ones new_zeros ones ones_like
scalar_tensor to _to_copy type_as zeros zeros_like
"""

_IDLE = """
alpha_dropout dropout feature_alpha_dropout feature_dropout native_dropout
"""
"""Nothing is drawn when not training; capture refuses them where they are."""

_CHECKS = "_assert_scalar _assert_tensor_metadata"
"""Left out of what is computed: all sizes are found anew."""

ATEN = _names(
    *(_POINTWISE, _CONTRACTIONS, _NORMS, _REDUCTIONS, _SHAPES, _INDEXING, _RECURRENT),
    *(_FOURIER, _MAKING, _IDLE, _CHECKS),
)

SYMBOLIC = frozenset(
    {
        *(f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "pos")),
        *(f"_operator.{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge", "truediv")),
        *(f"torch.sym_{name}" for name in ("int", "float", "max", "min", "not", "sqrt")),
        "math.trunc",
    }
)
"""Arithmetic with the size of the batch. Powers and shifts are left out: they make numbers that
no machine can hold."""

VALUE_DEPENDENT = _names(
    """
item _local_scalar_dense is_nonzero equal nonzero nonzero_numpy masked_select unique _unique2
unique_consecutive unique_dim argwhere _assert_async sym_constrain_range
sym_constrain_range_for_size allclose
"""
)
"""Their results, or the sizes of them, depend on values: control flow by data."""

RANDOM = _names(
    """
bernoulli binomial cauchy exponential geometric log_normal multinomial normal normal_functional
poisson rand rand_like randint randint_like randn randn_like randperm random rrelu_with_noise
uniform
"""
)
UNWRITTEN = _names(
    """
empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize
"""
)
"""Their results show memory that nobody has written."""

_TARGET = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)", re.ASCII)


def aten_operation(target: str) -> tuple[str, str] | None:
    """Return the name and overload of a target in ATen, None for any other target."""
    found = _TARGET.fullmatch(target)
    return (found[1], found[2]) if found else None


def base_name(operation: str) -> str:
    """Return the name of an operation without the mark of its in-place form."""
    if operation in ATEN:
        return operation
    if operation.startswith("__i") and f"__{operation[3:]}" in ATEN:
        return f"__{operation[3:]}"
    return operation.removesuffix("_")


def is_allowed(operation: str, overload: str) -> bool:
    """Whether an ATen operation is among those that a graph may call."""
    writes_out = overload == "out" or overload.endswith("_out")
    return base_name(operation) in ATEN and not writes_out

"""Architectures as `transformers` defines them, built from tiny configs with random weights.

`transformers` is imported when a model is built, not with this file: it takes seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from torch import Tensor, nn

from tests.zoo.entry import Architecture, features, image, tokens

WORDS = 23
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = SIZES | {"vocab_size": WORDS, "intermediate_size": 20, "max_position_embeddings": 16}
CAUSAL = TEXT | {"use_cache": False, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SPLIT = CAUSAL | {"num_attention_heads": 4, "num_key_value_heads": 2}
GROUPED = SPLIT | {"head_dim": 6}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
LATENT = {
    "q_lora_rank": 7, "kv_lora_rank": 9, "qk_rope_head_dim": 4, "qk_nope_head_dim": 6,
    "v_head_dim": 5, "first_k_dense_replace": 2, "num_key_value_heads": 2,
}  # fmt: skip
SEEN = SIZES | {"intermediate_size": 20, "image_size": 8, "patch_size": 4, "num_labels": 3}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": WORDS, "n_positions": 16}
T5 = {"vocab_size": WORDS, "d_model": 16, "d_kv": 6, "d_ff": 20, "num_layers": 2, "num_heads": 2}
T5 |= {"use_cache": False, "decoder_start_token_id": 0, "pad_token_id": 0}
SHIFTED = {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "window_size": 4}
SHIFTED |= {"num_heads": [2, 2], "num_labels": 3}
BART = {
    "vocab_size": WORDS, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 18, "max_position_embeddings": 16, "use_cache": False,
}  # fmt: skip
STAGES = {"hidden_sizes": [8, 12], "depths": [1, 2], "num_labels": 3}
LIT = {"num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 12],
       "patch_sizes": [3, 3], "strides": [2, 2], "num_attention_heads": [1, 2],
       "mlp_ratios": [2, 2], "decoder_hidden_size": 10, "num_labels": 3}  # fmt: skip
SPEECH = SIZES | {
    "intermediate_size": 20, "conv_dim": (6, 7), "conv_stride": (2, 2), "conv_kernel": (3, 3),
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_labels": 3,
    "num_feat_extract_layers": 2, "apply_spec_augment": False, "classifier_proj_size": 9,
}  # fmt: skip


def model(kind: str, config: str, attention: str, given: dict) -> Callable[[], nn.Module]:
    """Return a maker of a model with random weights from a config."""

    def build() -> nn.Module:
        transformers = importlib.import_module("transformers")
        settings = getattr(transformers, config)(**given)
        return getattr(transformers, kind)._from_config(settings, attn_implementation=attention)

    return build


class Pair(nn.Module):
    """An encoder-decoder as a function of the tokens of both."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: Tensor, decoder_ids: Tensor) -> Tensor:
        return self.inner(input_ids=ids, decoder_input_ids=decoder_ids).logits


def published(
    name: str, kind: str, config: str, given: dict, inputs: Callable[[], tuple[Tensor, ...]],
    *groups: int, attention: str = "sdpa", pair: bool = False
) -> Architecture:  # fmt: skip
    """Return one row: a model class, its config class and its settings."""
    build = model(kind, config, attention, given)
    made = (lambda: Pair(build())) if pair else build
    return Architecture(f"{name} (transformers)", name, made, inputs, groups or None)


IDS, PICTURE, LARGER = tokens(WORDS, 5), image(3, 8), image(3, 16)
LLAMA = (16, *(2, 2, 6, 20) * 2)
"""The stream; per block: heads of k, heads of q per head of k, head size of v, hidden units."""
BERT = (2, 8, 8, 20) * 2
"""Per block: heads, head size of q and k, head size of v, hidden units."""
T5_GROUPS = (16, 2, 2, *(2, 2), *(6, 6) * 6, *(20,) * 4)
"""The stream; heads of the encoder and of the decoder, each tied over the layers by its table of
relative positions; heads across, per layer; head sizes of six attentions; four MLPs."""
ARCHITECTURES = (
    published("GPT-2", "GPT2LMHeadModel", "GPT2Config", GPT | {"use_cache": False}, IDS,
              16, *(2, 8, 8, 64) * 2),
    published("GPT-2, eager", "GPT2LMHeadModel", "GPT2Config", GPT | {"use_cache": False}, IDS,
              16, *(2, 8, 8, 64) * 2, attention="eager"),
    published("BERT", "BertForMaskedLM", "BertConfig", TEXT, IDS, 16, *BERT),
    published("RoBERTa", "RobertaForSequenceClassification", "RobertaConfig",
              TEXT | {"pad_token_id": 1}, tokens(WORDS, 5), 16, 16, *BERT),
    published("DistilBERT", "DistilBertForSequenceClassification", "DistilBertConfig",
              {"vocab_size": WORDS, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 20,
               "max_position_embeddings": 16}, IDS, 16, 16, *BERT),
    published("ALBERT", "AlbertForMaskedLM", "AlbertConfig", TEXT | {"embedding_size": 9}, IDS,
              9, 16, 2, 8, 8, 20),
    published("ELECTRA", "ElectraForSequenceClassification", "ElectraConfig",
              TEXT | {"embedding_size": 9}, IDS, 9, 16, 16, *BERT),
    published("DeBERTa-v2", "DebertaV2ForSequenceClassification", "DebertaV2Config",
              TEXT | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"],
                      "position_buckets": 4, "type_vocab_size": 0}, IDS, attention="eager"),
    published("T5", "T5ForConditionalGeneration", "T5Config", T5, tokens(WORDS, 5, 4),
              *T5_GROUPS, pair=True),
    published("T5 v1.1", "T5ForConditionalGeneration", "T5Config",
              T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
              tokens(WORDS, 5, 4), *T5_GROUPS, attention="eager", pair=True),
    published("BART", "BartForConditionalGeneration", "BartConfig", BART, tokens(WORDS, 5, 4),
              16, *(2, 8, 8) * 3, 20, 18, pair=True),
    published("Llama", "LlamaForCausalLM", "LlamaConfig", GROUPED, IDS, *LLAMA),
    published("Mistral, sliding window", "MistralForCausalLM", "MistralConfig",
              GROUPED | {"sliding_window": 3}, IDS, *LLAMA),
    published("Qwen2, tied", "Qwen2ForCausalLM", "Qwen2Config",
              GROUPED | {"tie_word_embeddings": True}, IDS, *LLAMA),
    published("Qwen3", "Qwen3ForCausalLM", "Qwen3Config", GROUPED, IDS, *LLAMA),
    published("Gemma2", "Gemma2ForCausalLM", "Gemma2Config", GROUPED, IDS, *LLAMA,
              attention="eager"),
    published("Phi-3, fused projections", "Phi3ForCausalLM", "Phi3Config", SPLIT, IDS,
              16, *(2, 2, 4, 20) * 2),
    published("Mixtral", "MixtralForCausalLM", "MixtralConfig",
              GROUPED | {"num_local_experts": 4}, IDS, *LLAMA),
    published("Qwen2-MoE", "Qwen2MoeForCausalLM", "Qwen2MoeConfig",
              SPLIT | EXPERTS | {"shared_expert_intermediate_size": 9}, IDS,
              16, *(2, 2, 4, 12, 9) * 2),
    published("DeepSeek-V3, latent attention", "DeepseekV3ForCausalLM", "DeepseekV3Config",
              CAUSAL | LATENT, IDS, 16, *(7, 9, 2, 6, 5, 20) * 2),
    published("GPT-NeoX, partly rotary", "GPTNeoXForCausalLM", "GPTNeoXConfig", CAUSAL, IDS,
              16, *(2, 6, 8, 20) * 2),
    published("GPT-J", "GPTJForCausalLM", "GPTJConfig",
              GPT | {"rotary_dim": 4, "use_cache": False}, IDS, 16, *(2, 4, 8, 64) * 2,
              attention="eager"),
    published("OPT", "OPTForCausalLM", "OPTConfig",
              CAUSAL | {"ffn_dim": 20, "word_embed_proj_dim": 16}, IDS, 16, *BERT),
    published("BLOOM, slopes per head", "BloomForCausalLM", "BloomConfig",
              {"vocab_size": WORDS, "hidden_size": 16, "n_layer": 2, "n_head": 2,
               "use_cache": False}, IDS, 16, *(8, 8, 64) * 2, attention="eager"),
    published("Falcon, one head for k and v", "FalconForCausalLM", "FalconConfig",
              SIZES | {"vocab_size": WORDS, "use_cache": False}, IDS, 16, *(2, 8, 64) * 2),
    published("Falcon, grouped queries", "FalconForCausalLM", "FalconConfig",
              SIZES | {"vocab_size": WORDS, "use_cache": False, "num_attention_heads": 4,
                       "new_decoder_architecture": True, "num_kv_heads": 2},
              IDS, 16, *(2, 2, 4, 64) * 2),
    published("Mamba", "MambaForCausalLM", "MambaConfig",
              {"vocab_size": WORDS, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 1,
               "time_step_rank": 3, "use_cache": False}, IDS, 3, 4, 16, 32, attention="eager"),
    published("FNet", "FNetForSequenceClassification", "FNetConfig", TEXT, IDS,
              attention="eager"),
    published("ViT", "ViTForImageClassification", "ViTConfig", SEEN, PICTURE, 16, *BERT),
    published("DeiT, distilled", "DeiTForImageClassificationWithTeacher", "DeiTConfig", SEEN,
              PICTURE, 16, *BERT),
    published("BEiT, relative positions", "BeitForImageClassification", "BeitConfig",
              SEEN | {"use_relative_position_bias": True}, PICTURE, 16, *BERT),
    published("DINOv2", "Dinov2ForImageClassification", "Dinov2Config", SEEN | {"mlp_ratio": 2},
              PICTURE, 16, *(2, 8, 8, 32) * 2),
    published("Swin", "SwinForImageClassification", "SwinConfig", SHIFTED, LARGER,
              8, 16, *(2, 4, 4, 32) * 2, *(2, 8, 8, 64) * 2),
    published("Swin-v2", "Swinv2ForImageClassification", "Swinv2Config", SHIFTED, LARGER,
              8, 16, *(2, 4, 4, 32, 512) * 2, *(2, 8, 8, 64, 512) * 2, attention="eager"),
    published("ConvNeXt", "ConvNextForImageClassification", "ConvNextConfig",
              {"hidden_sizes": [6, 8], "depths": [1, 1], "num_stages": 2, "num_labels": 3,
               "patch_size": 2}, LARGER, 6, 24, 8, 32, attention="eager"),
    published("ResNet", "ResNetForImageClassification", "ResNetConfig",
              STAGES | {"embedding_size": 6}, LARGER, 6, 2, 2, 8, *(3, 3) * 2, 12,
              attention="eager"),
    published("SegFormer", "SegformerForSemanticSegmentation", "SegformerConfig", LIT, LARGER),
    published("LeViT", "LevitForImageClassification", "LevitConfig",
              {"image_size": 32, "hidden_sizes": [8, 12, 16], "num_attention_heads": [1, 2, 2],
               "depths": [1, 1, 1], "key_dim": [4, 4, 4], "num_labels": 3,
               "down_ops": [["Subsample", 4, 2, 2, 2, 2], ["Subsample", 4, 3, 2, 2, 2]]},
              image(3, 32), attention="eager"),
    published("Wav2Vec2", "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", SPEECH,
              features(64)),
)  # fmt: skip

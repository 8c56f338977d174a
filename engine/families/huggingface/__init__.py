"""Architectures that a Hugging Face `config.json` describes, built by `transformers`."""

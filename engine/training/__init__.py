"""Training: corpus, tokenizer, curriculum stages. May import anything of the engine; nothing imports it."""

"""The language server: LSP in, workspace edits out. Never imports torch or transformers."""

"""The diffusion engine: spans in, candidates out. Knows nothing of LSP, editors or URIs."""

__version__ = "0.1.0"

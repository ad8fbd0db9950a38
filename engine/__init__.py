"""The diffusion engine: spans in, candidates out. Knows nothing of LSP, editors or URIs."""

__version__ = "0.1.0"

import os

# Read when torch is imported. Threads that spin while they wait for each other make an edit ten times slower
# as soon as another program uses the cores too; threads that sleep do not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

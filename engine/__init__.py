"""The diffusion engine: spans in, candidates out. Knows nothing of LSP, editors or URIs."""

__version__ = "0.1.0"

import os

# Read when torch is imported. Threads that wait for each other spin for some tens of microseconds, then sleep.
# Sleeping at once costs a third to half of the speed on a quiet machine; spinning for milliseconds, the default,
# takes the cores from other programs and, when they are busy too, from the other thread.
os.environ.setdefault("GOMP_SPINCOUNT", "30000")

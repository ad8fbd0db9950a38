"""Forward and reverse processes of the span diffusion, on token ids only."""

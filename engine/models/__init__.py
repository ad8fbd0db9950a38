"""Denoisers: the embedded span model and the interface every other model is made to speak."""

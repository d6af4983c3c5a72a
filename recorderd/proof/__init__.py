"""Proof that a video is unchanged: seals, their chain, the check of both, and what is handed on."""

"""How well and how fast recorderd does its work, measured beside what else does it."""

"""Lamps, buzzer, pedal and hand scanner. Imports no video library and no numpy."""

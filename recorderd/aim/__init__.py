"""Aiming the camera without a screen: live views of the station, in words and in a browser."""

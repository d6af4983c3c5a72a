"""A packing-station recorder: show an order label to the camera, get a proven video."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("recorderd")
except PackageNotFoundError:
    __version__ = "0+source"

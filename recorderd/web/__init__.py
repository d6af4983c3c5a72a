"""The staff pages: find, watch and download videos, in a process that can only read."""

"""The process that touches video: camera, decode, encode, write. It obeys and reports."""

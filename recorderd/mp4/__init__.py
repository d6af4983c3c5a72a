"""The MP4 files that recorderd writes, looked into without any library of video."""

"""What outlives the process: the catalogue of recordings and the files of footage."""

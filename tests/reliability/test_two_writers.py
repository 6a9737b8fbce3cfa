"""Two processes write the same file: one refuses, or the file is that of one of them."""

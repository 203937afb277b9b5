"""One module for each kind of file, with a list `TARGETS`."""

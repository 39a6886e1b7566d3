"""What is fast and what is not, each figure held against a peer in one run: `make bench`."""

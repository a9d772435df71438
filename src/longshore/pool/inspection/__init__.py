"""What can be seen of the pools: counts, and a look at who has what."""

"""Results of reads, kept until a write makes them wrong."""

"""What others offer, set up as their handbooks say, for benchmarks that measure it in turns with ours."""

"""Other products, set up as their handbooks say, for benchmarks that measure them in turns with ours."""

"""Load: the benchmarks of `bin/bench`, and locust's users."""

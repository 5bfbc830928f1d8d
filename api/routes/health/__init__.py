"""What machines ask: alive, ready, metrics."""

"""What a courier may know of a delivery."""

"""What a safe number is and who reaches whom. Knows nothing of HTTP, AMI or SMPP."""

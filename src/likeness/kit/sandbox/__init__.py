"""What the kernel takes from a process for good."""

"""What one camera frame shows."""

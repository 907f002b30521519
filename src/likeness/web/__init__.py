"""What every HTTP call shares: its body, its errors, its context."""

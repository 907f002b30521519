"""What a face session leaves behind: one signed result and, for a while, the image it was decided on."""

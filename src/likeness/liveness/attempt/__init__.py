"""One attempt of a person: the drawn challenge, its steps and the verdict."""

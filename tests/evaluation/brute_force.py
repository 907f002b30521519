"""The slow, obvious way, to hold the fast one against."""

from itertools import combinations

import numpy as np


def unit_rows(generator, people, *, size=8, likeness=1.5):
    """Templates whose people look more or less like themselves."""
    centres = generator.standard_normal((max(people) + 1, size)) * likeness
    rows = centres[people] + generator.standard_normal((len(people), size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scores_by_kind(rows, people):
    """All scores, one by one: (genuine, impostor) as lists of (score, i, j)."""
    genuine, impostor = [], []
    for i, j in combinations(range(len(rows)), 2):
        score = float(rows[i].astype(np.float64) @ rows[j].astype(np.float64))
        (genuine if people[i] == people[j] else impostor).append((score, i, j))
    return genuine, impostor

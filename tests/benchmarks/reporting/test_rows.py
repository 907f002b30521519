from benchmarks.small_reports import FIGURES
from reporting.rows import groups_of, rows_of


def test_peers_of_one_figure_share_a_row() -> None:
    search, *_ = rows_of(FIGURES)
    assert (search.name, search.value, [figure.to for figure in search.figures]) == (
        "10 x 4: a search",
        2.1,
        ["a & b", "c"],
    )


def test_rows_that_begin_alike_are_a_group_behind_the_others() -> None:
    others, group = groups_of(rows_of(FIGURES))
    assert (group.heading, [row.name for row in group.rows]) == ("10 x 4", ["a search", "recall"])
    assert (others.heading, [row.name for row in others.rows]) == ("", ["the whole", "rows"])


def test_a_row_alone_keeps_its_whole_name() -> None:
    (group,) = groups_of(rows_of(FIGURES[:1] + FIGURES[3:]))
    assert [row.name for row in group.rows] == ["10 x 4: a search", "the whole", "rows"]

"""Which groups are merged or left out, in sentences."""

from fairprof.reporting.groups import groups_told


def test_everybody_as_labelled_is_not_worth_a_word():
    assert groups_told("none", "none") == groups_told("none", "none", 0) == ""


def test_merged_groups_are_named_and_those_left_out_are_counted():
    assert groups_told("race:Indian+Others,gender:a+b+c=rest", "race:Black,gender:d", 1) == (
        "By the setting merge, Indian and Others (race) count as one group. By the setting merge, a, b and c (gender) "
        "count as one group, named rest. By the setting exclude, 1 image of Black (race) and d (gender) was left out: "
        "in no partition, and not in quarantine."
    )
    assert "exclude, 1,234 images of Black (race) were left out" in groups_told("none", "race:Black", 1234)
    assert "exclude, images of Black (race) were left out" in groups_told("none", "race:Black")

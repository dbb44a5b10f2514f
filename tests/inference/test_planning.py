"""Which seeds a test may rest on, by what was planned before anything was seen."""

from fairprof.inference.planning import Look, seed_plan


def look(*seeds: int, seen: int | None = None) -> Look:
    return Look(seeds, frozenset(seeds[:seen]))


def test_without_an_earlier_look_all_seeds_are_planned_and_tested():
    plan = seed_plan([], [2, 0, 1])
    assert (plan.compared, plan.planned, plan.tested) == ((0, 1, 2),) * 3
    assert (plan.later, plan.left_out, plan.missing, plan.recorded) == ((), (), (), False)


def test_seeds_that_were_added_to_a_plan_are_not_tested():
    first, second = look(*range(6)), look(*range(8))
    plan = seed_plan([first, second], range(10))
    assert (plan.planned, plan.tested) == (tuple(range(6)),) * 2
    assert (plan.later, plan.left_out, plan.looked_at, plan.recorded) == ((6, 7, 8, 9), (6, 7, 8, 9), 6, True)
    # the same study again, and a comparison of what it has: nothing changes
    assert seed_plan([first, second], range(6)).tested == tuple(range(6))
    assert seed_plan([first, second, look(*range(10))], range(10)) == plan


def test_a_pilot_that_allows_no_claim_is_followed_by_a_plan_that_counts():
    pilot = look(0, 1)
    plan = seed_plan([pilot], range(10))
    assert (plan.planned, plan.looked_at, plan.later) == ((0, 1), 2, tuple(range(2, 10)))
    assert (plan.tested, plan.left_out) == (tuple(range(10)), ())
    # the first plan of six seeds counts, and what follows is added to it
    later = seed_plan([pilot, look(*range(6))], range(10))
    assert (later.tested, later.left_out) == (tuple(range(6)), (6, 7, 8, 9))
    # seeds of a pilot that the plan left out are not tested
    assert seed_plan([pilot, look(*range(2, 8))], range(8)).left_out == (0, 1)


def test_a_start_of_which_nothing_was_seen_is_no_look():
    assert seed_plan([look(*range(6), seen=0)], range(10)).tested == tuple(range(10))
    # killed after two seeds: the plan stands, two had been looked at
    plan = seed_plan([look(*range(6), seen=2)], range(10))
    assert (plan.tested, plan.looked_at) == (tuple(range(6)), 2)


def test_planned_seeds_that_are_not_compared_are_known():
    plan = seed_plan([look(*range(10))], range(6))
    assert (plan.missing, plan.later, plan.tested) == ((6, 7, 8, 9), (), tuple(range(6)))
    assert seed_plan([look(*range(6))], range(10, 16)).tested == ()

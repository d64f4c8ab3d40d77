"""Mutation and crossover stay inside the space and keep their rates."""

import numpy as np

from tests.searching.spaces import tiny_psvit, tiny_wide
from vitreous.searching.moves import Mutation, crossed, mutated


def test_children_are_canonical_members_of_the_space() -> None:
    generator = np.random.default_rng(0)
    for space in (tiny_psvit(depth=8), tiny_wide()):
        first, second = space.sample(generator), space.sample(generator)
        for _ in range(50):
            child = crossed(space, first, second, generator)
            first, second = mutated(space, child, generator), first
            for each in (child, first):
                assert space.canonical(each) == each


def test_a_child_of_equal_parents_is_the_parent_and_no_rate_changes_nothing() -> None:
    generator = np.random.default_rng(1)
    space = tiny_psvit(depth=8)
    parent = space.sample(generator)
    assert crossed(space, parent, parent, generator) == parent
    assert mutated(space, parent, generator, Mutation(gene=0.0, place=0.0)) == parent


def test_about_a_tenth_of_the_choices_are_drawn_anew() -> None:
    generator = np.random.default_rng(2)
    space = tiny_psvit(depth=12)
    parent = space.canonical((5, 9, *([0] * 11)))
    changed = np.mean([sum(mutated(space, parent, generator)[2:]) for _ in range(600)])
    assert 0.35 < changed < 0.55  # 9 sharing bits that mean something, each half of 0.1: 0.45


def test_pools_mostly_move_by_one_layer() -> None:
    generator = np.random.default_rng(3)
    space = tiny_psvit(depth=12)
    parent = space.canonical((3, 8, *([0] * 11)))
    moves = [
        abs(child[place] - parent[place])
        for child in (mutated(space, parent, generator, Mutation(gene=0.0, place=1.0)) for _ in range(300))
        for place in (0, 1)
    ]
    assert np.mean([each == 1 for each in moves]) > 0.8

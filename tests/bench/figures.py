# SPDX-License-Identifier: MIT
"""Medians, quartiles and confidence intervals, and how they are written."""

import random
import statistics


def quartiles(values):
    ordered = sorted(values)
    last = len(ordered) - 1
    return (ordered[round(last / 4)], statistics.median(ordered),
            ordered[round(3 * last / 4)])


def spread(values, digits=3):
    """The median, with the quartiles in brackets."""
    low, middle, high = quartiles(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def interval(groups, share=0.95, times=500):
    """(low, median, high) of all values in a list of lists: the median, and where it lies
    with that probability, by a bootstrap (Efron, 1979) that draws groups and then values
    from each, as values of one group may have more in common than chance. The random
    numbers are the same each time."""
    chance = random.Random(1)

    def draw():
        drawn = chance.choices(groups, k=len(groups))
        return statistics.median(value for group in drawn
                                 for value in chance.choices(group, k=len(group)))
    medians = sorted(draw() for _ in range(times))
    out = round(times * (1 - share) / 2)
    middle = statistics.median(value for group in groups for value in group)
    return medians[out], middle, medians[-1 - out]

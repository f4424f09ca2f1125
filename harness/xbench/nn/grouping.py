"""Cut a batch into groups of similar length, so that the encoder computes little padding.

A random batch of sentences is mostly padding: 32 sentence pairs of real text hold about a quarter
of the tokens that their longest member makes of them. The batch stays as it is for the objective;
only the encoder sees its rows in groups.
"""

from collections.abc import Sequence

# What starting a group costs on a CPU, in padded tokens' worth of computing.
GROUP_COST = 192


def length_groups(lengths: Sequence[int], cost: int = GROUP_COST) -> list[list[int]]:
    """Row numbers in groups, each ordered by length, of the least total padded size plus cost.

    The size of a group is its number of rows times its longest row. Exact, by dynamic programming
    over the rows in order of length: O(B^2).
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    best = [0] + [0] * len(order)  # best[n]: least cost of the n shortest rows
    start = [0] * (len(order) + 1)  # where the last group of that solution begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        options = [best[begin] + (end - begin) * longest + cost for begin in range(end)]
        best[end] = min(options)
        start[end] = options.index(best[end])
    groups = []
    end = len(order)
    while end:
        groups.append(order[start[end] : end])
        end = start[end]
    return groups[::-1]

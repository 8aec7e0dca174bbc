"""Interleaved rounds of two sides, and the table of what came of them."""

import os
import statistics
import sys
import time

from processes import cpu_of_machine

# CPUs that others may keep busy while a round still counts as quiet.
QUIET = 0.25

HEADER = f"{'':44} {'pool':>9} {'peer':>9} {'CPU':>6} {'goal':>5} {'wall':>6} {'goal':>5}  others"


class Cost:
    """What some units of work cost: CPU of all the processes that count, and time."""

    def __init__(self, units, cpu, wall, running=0.0):
        self.cpu, self.wall = cpu / units, wall / units
        # CPU of processes that have not ended yet, and so are not among our ended children's.
        self.running = running


def compare(row, unit, pool, peer, *, cpu_goal=None, wall_goal=None, rounds=5):
    """Runs both sides in turns and prints a row. `unit` is the text after CPU seconds and a factor.

    A side is a function that answers with a `Cost`. Ratios are taken round by round, since the
    machine's speed drifts, and their median is what is printed. While others keep the machine
    busy, up to half as many rounds again are made, and the quietest ones count."""
    measured = []
    while len(measured) < rounds + rounds // 2:
        sides = [("pool", pool), ("peer", peer)]
        if len(measured) % 2:
            sides.reverse()
        costs, others = {}, 0.0
        for name, side in sides:
            costs[name], busy = watched(side)
            others = max(others, busy)
        measured.append((others, costs["pool"], costs["peer"]))
        if sum(others <= QUIET for others, _, _ in measured) >= rounds:
            break
    kept = sorted(measured, key=lambda it: it[0])[:rounds]
    print(line(row, unit, kept, cpu_goal, wall_goal), flush=True)


def watched(side):
    """The side's cost, and how many CPUs others kept busy meanwhile."""
    machine, own, start = cpu_of_machine(), own_cpu(), time.monotonic()
    cost = side()
    span = time.monotonic() - start
    busy = cpu_of_machine() - machine - (own_cpu() - own) - cost.running
    return cost, max(0.0, busy / span)


def own_cpu():
    times = os.times()
    return sum(times[:4])  # ours and that of children which have ended


def line(row, unit, kept, cpu_goal, wall_goal):
    def median(of):
        return statistics.median(of(pool, peer) for _, pool, peer in kept)

    name, factor = unit
    pool, peer = median(lambda pool, _: pool.cpu) * factor, median(lambda _, peer: peer.cpu) * factor
    cpu = median(lambda pool, peer: pool.cpu / peer.cpu)
    wall = median(lambda pool, peer: pool.wall / peer.wall)
    others = statistics.median(others for others, _, _ in kept)
    goals = [(cpu, cpu_goal), (wall, wall_goal)]
    met = all(goal is None or round(ratio, 2) <= goal for ratio, goal in goals)
    shown = [f"{goal:.2f}" if goal is not None else "" for _, goal in goals]
    verdict = "PASS" if met else "short of goal"
    return (
        f"{row + ', CPU ' + name:44} {pool:9.2f} {peer:9.2f} {cpu:6.2f} {shown[0]:>5} {wall:6.2f} {shown[1]:>5}"
        f"  {others:.1f} CPU  {verdict}"
    )


def note(text):
    print(text, file=sys.stderr, flush=True)

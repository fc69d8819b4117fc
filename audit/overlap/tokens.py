# mypy: allow-untyped-defs, no-check-untyped-defs
"""Kernels: words or characters of UTF-8 texts as 64-bit hashes with byte offsets, and the shingles of them."""

from __future__ import annotations

import numpy as np

from audit.overlap.compiled import kernel

TWO = np.uint64(2)
MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
STEP = np.uint64(0x9E3779B97F4A7C15)  # odd
HALF = np.uint64(33)
LEFT, RIGHT = np.uint64(5), np.uint64(59)
EXPANDS = np.uint32(1 << 31)
BELOW = np.uint32((1 << 31) - 1)
LAST_POINT = 0x32400
LETTERS = np.random.Generator(np.random.PCG64(LAST_POINT)).integers(0, 1 << 64, 128, np.uint64)
# By ASCII byte: the folded letter's 64 bits, or 0 where a word ends; and all bits set, or none, as it is in a word.
ASCII = np.array([LETTERS[ord(c.lower())] if c.isalnum() or c == "_" else 0 for c in map(chr, range(128))], np.uint64)
IN_WORD = np.where(ASCII == 0, np.uint64(0), ~np.uint64(0))
ZERO, ONE, ALL = np.uint64(0), np.uint64(1), ~np.uint64(0)


@kernel
def mix(value):
    """The finaliser of MurmurHash3: every bit of the result depends on every bit of `value`."""
    value = (value ^ (value >> HALF)) * MIX_1
    value = (value ^ (value >> HALF)) * MIX_2
    return value ^ (value >> HALF)


@kernel
def letter(point):
    """64 bits that stand for a code point."""
    return LETTERS[point] if point < len(LETTERS) else mix(np.uint64(point) * STEP)


@kernel
def code_point(data, at, end):
    """(code point, bytes) of the character of two or more bytes at `at`; what is not UTF-8 counts as a space."""
    first = data[at]
    if first < 0xC2 or first >= 0xF5:
        return LAST_POINT, 1
    if first < 0xE0:
        if at + 2 > end:
            return LAST_POINT, 1
        return ((first & 0x1F) << 6) | (data[at + 1] & 0x3F), 2
    if first < 0xF0:
        if at + 3 > end:
            return LAST_POINT, 1
        return ((first & 0x0F) << 12) | ((data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F), 3
    if at + 4 > end:
        return LAST_POINT, 1
    upper = ((first & 0x07) << 18) | ((data[at + 1] & 0x3F) << 12)
    return min(upper | ((data[at + 2] & 0x3F) << 6) | (data[at + 3] & 0x3F), LAST_POINT), 4


@kernel
def words(data, begin, end, folded, expansions, hashes, starts, ends):
    """Words of data[begin:end] into the three arrays, as `room` makes them; returns their number.

    A word's hash turns by five bits and takes up the mixed code point, for each; starts and ends are places in
    `data`. An ASCII byte takes no branch: the current word is written down at every byte and counted where it ends.
    Unsigned places, so that no index is checked for being negative.
    """
    count, at, stop = ZERO, np.uint64(begin), np.uint64(end)
    value, start, inside = STEP, at, ZERO
    while at < stop:
        byte = data[at]
        if byte < 0x80:
            here = IN_WORD[byte]
            hashes[count], starts[count], ends[count] = value, start, at
            at += ONE
            count += inside & ~here & ONE
            value = ((((value << LEFT) | (value >> RIGHT)) ^ ASCII[byte]) & here) | (STEP & ~here)
            start = (start & here) | (at & ~here)
            inside = here
            continue
        point, size = code_point(data, np.int64(at), np.int64(stop))
        entry = folded[point]
        first, last = 0, 1
        if entry & EXPANDS:
            first = np.int64(entry & BELOW) + 1
            last = first + np.int64(expansions[first - 1])
        for k in range(first, last):
            part = expansions[k] if entry & EXPANDS else entry
            if part:
                start = start if inside else at
                value = ((value << LEFT) | (value >> RIGHT)) ^ letter(part)
                inside = ALL
            elif inside:
                hashes[count], starts[count] = value, start
                ends[count] = at + np.uint64(size) if entry & EXPANDS else at
                count += ONE
                value, inside = STEP, ZERO
        at += np.uint64(size)
        if not inside:
            start = at
    if inside:
        hashes[count], starts[count], ends[count] = value, start, stop
        count += ONE
    return np.int64(count)


@kernel
def characters(data, begin, end, folded, expansions, hashes, starts, ends):
    """Characters of data[begin:end], one space for each gap between them, as `words` gives words."""
    count = 0
    gap = False
    at = begin
    while at < end:
        size = 1
        if data[at] < 0x80:
            entry = folded[data[at]]
        else:
            point, size = code_point(data, at, end)
            entry = folded[point]
        first, last = 0, 1
        if entry & EXPANDS != 0:
            first = np.int64(entry & BELOW) + 1
            last = first + np.int64(expansions[first - 1])
        for k in range(first, last):
            value = entry if entry & EXPANDS == 0 else expansions[k]
            if value == 0:
                gap = count > 0
                continue
            if gap:
                hashes[count] = mix(np.uint64(0x20) * STEP)
                starts[count] = at
                ends[count] = at
                count += 1
                gap = False
            hashes[count] = mix(np.uint64(value) * STEP)
            starts[count] = at
            ends[count] = at + size
            count += 1
        at += size
    return count


@kernel
def units(by_word, data, begin, end, folded, expansions, hashes, starts, ends):
    """Words or characters, as `by_word` says."""
    if by_word:
        return words(data, begin, end, folded, expansions, hashes, starts, ends)
    return characters(data, begin, end, folded, expansions, hashes, starts, ends)


@kernel
def whole(hashes, count):
    """One hash of a run of `count` units, in order."""
    value, odd = np.uint64(count), STEP
    for i in range(count):
        value += hashes[i] * odd
        odd += TWO
    return mix(value)


@kernel
def shingle(hashes, count, size, out):
    """Hashes of the runs of `size` units; of fewer units, one of them all. Returns their number.

    A run's hash is the sum of its units' hashes, each times an odd number of its own, then mixed.
    """
    if count == 0:
        return 0
    if count < size:
        out[0] = whole(hashes, count)
        return 1
    number = count - size + 1
    out[:number] = 0
    odd = STEP
    for j in range(size):
        for i in range(number):
            out[i] += hashes[i + j] * odd
        odd = odd * STEP + TWO
    for i in range(number):
        out[i] = mix(out[i])
    return number


@kernel
def room(by_word, data, offsets, first, last, folded, expansions):
    """Units that no text from `first` up to `last` exceeds. No character of n bytes makes more than 1.5 n words."""
    most = 0
    for i in range(first, last):
        size = offsets[i + 1] - offsets[i]
        if by_word:
            most = max(most, size + size // 2)
            continue
        at, count = offsets[i], 0
        while at < offsets[i + 1]:
            step, more = 1, 1
            if data[at] >= 0x80:
                point, step = code_point(data, at, offsets[i + 1])
                if folded[point] & EXPANDS != 0:
                    more = 2 * np.int64(expansions[np.int64(folded[point] & BELOW)])
            count += more
            at += step
        most = max(most, count)
    return most + 8

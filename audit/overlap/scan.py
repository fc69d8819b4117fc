# mypy: allow-untyped-defs, no-check-untyped-defs
"""Kernels of the containment search: hits of a text's shingles, the best window of each record, word-LCS coverage."""

from __future__ import annotations

import numpy as np

from audit.overlap.compiled import kernel
from audit.overlap.prefetch import AHEAD, prefetch
from audit.overlap.tokens import room, shingle, units, whole

LOWER = np.uint64(0xFFFFFFFF)
STEP = np.uint64(0x9E3779B97F4A7C15)
EMPTY_SLOT = -1


@kernel
def bits_of(h):
    """The three bits of a word that stand for a hash."""
    one, low = np.uint64(1), np.uint64(63)
    return (one << (h & low)) | (one << ((h >> np.uint64(6)) & low)) | (one << ((h >> np.uint64(12)) & low))


@kernel
def hits_of(
    found, number, shift, filter_shift, starts, fingerprints, postings, bits, through, places, entries, owners
):  # fmt: skip
    """Postings of the text's shingles: (place of the shingle in the text, posting, group); grown arrays and number.

    What the filter lets through is gathered first, without a branch, and every look-up is announced some steps
    before it is made: so the memory's delays overlap.
    """
    passed = 0
    for s in range(min(AHEAD, number)):
        prefetch(bits, found[s] >> filter_shift)
    for s in range(number):
        prefetch(bits, found[min(s + AHEAD, number - 1)] >> filter_shift)
        wanted_bits = bits_of(found[s])
        through[passed] = s
        passed += np.int64(bits[found[s] >> filter_shift] & wanted_bits == wanted_bits)
    for p in range(passed):
        prefetch(starts, found[through[p]] >> shift)
    for p in range(passed):
        prefetch(fingerprints, np.int64(starts[found[through[p]] >> shift]))
    hits = 0
    for p in range(passed):
        s = through[p]
        bucket = np.int64(found[s] >> shift)
        wanted = np.uint32(found[s] & LOWER)
        for entry in range(np.int64(starts[bucket]), np.int64(starts[bucket + 1])):
            if fingerprints[entry] != wanted:
                continue
            if hits == len(places):
                places = np.concatenate((places, np.empty_like(places)))
                entries = np.concatenate((entries, np.empty_like(entries)))
                owners = np.concatenate((owners, np.empty_like(owners)))
            places[hits], entries[hits], owners[hits] = s, entry, postings[entry]
            hits += 1
    return hits, places, entries, owners


@kernel
def neighbours(places, entries, hits, before, after):
    """Place of the same posting's hit before and after each hit; -1 and 2^62 where there is none."""
    order = np.argsort(entries[:hits], kind="mergesort")
    for k in range(hits):
        i = order[k]
        same = k > 0 and entries[order[k - 1]] == entries[i]
        before[i] = places[order[k - 1]] if same else -1
        same = k + 1 < hits and entries[order[k + 1]] == entries[i]
        after[i] = places[order[k + 1]] if same else np.int64(1) << 62


@kernel
def best_window(order, first, last, places, before, after, width):
    """(distinct shingles, first place, last place) of the window of shingles that holds most; the first of equals.

    order[first:last] are one record's hits by place; two hits are in one window if their places differ by at most
    `width`.
    """
    most, low, high = 0, 0, 0
    left, distinct = first, 0
    for right in range(first, last):
        here = places[order[right]]
        while here - places[order[left]] > width:
            if after[order[left]] > places[order[right - 1]]:
                distinct -= 1
            left += 1
        if before[order[right]] < places[order[left]]:
            distinct += 1
        if distinct > most:
            most, low, high = distinct, places[order[left]], here
    return most, low, high


@kernel
def common_subsequence(a, a_count, b, low, high, slots, masks):
    """Length of the longest common subsequence of a[:a_count] and b[low:high], 64 units of `a` at a time.

    The bit-vector recurrence of Crochemore et al. (2001): V = (V + (V & M)) | (V & ~M), with carries between words.
    """
    blocks = (a_count + 63) >> 6
    size = 16
    while size < 2 * a_count:
        size *= 2
    if len(slots) < size:
        slots = np.empty(size, np.int64)
    if len(masks) < a_count * blocks:
        masks = np.empty(a_count * blocks, np.uint64)
    slots[:size] = EMPTY_SLOT
    masks[: a_count * blocks] = 0
    shift = np.uint64(64)
    bits = size
    while bits > 1:
        bits >>= 1
        shift -= np.uint64(1)
    for i in range(a_count):
        at = np.int64((a[i] * STEP) >> shift)
        while slots[at] != EMPTY_SLOT and a[slots[at]] != a[i]:
            at = (at + 1) & (size - 1)
        if slots[at] == EMPTY_SLOT:
            slots[at] = i
        masks[slots[at] * blocks + (i >> 6)] |= np.uint64(1) << np.uint64(i & 63)
    rest = np.full(blocks, ~np.uint64(0))
    for j in range(low, high):
        at = np.int64((b[j] * STEP) >> shift)
        while slots[at] != EMPTY_SLOT and a[slots[at]] != b[j]:
            at = (at + 1) & (size - 1)
        if slots[at] == EMPTY_SLOT:
            continue
        base, carry = slots[at] * blocks, np.uint64(0)
        for k in range(blocks):
            value, mask = rest[k], masks[base + k]
            both = value & mask
            total = value + both
            over = np.uint64(total < value)
            total += carry
            carry = np.uint64(1) if over or total < carry else np.uint64(0)
            rest[k] = total | (value & ~mask)
    length = 0
    for i in range(a_count):
        length += (rest[i >> 6] >> np.uint64(i & 63)) & np.uint64(1) == 0
    return length, slots, masks


@kernel
def scan(
    by_word, data, offsets, first, folded, expansions, size,
    shift, filter_shift, starts, fingerprints, postings, bits, kept, lengths, private, private_offsets,
    least_share, least_coverage, rows, groups, coverage, verbatim, spans, wholes,
):  # fmt: skip
    """Candidates of the texts from `first` on, until the out arrays may not hold the next text's.

    For each text and record with enough of the record's shingles in one window of twice its length: the shingles
    shared, the share of the record's units found in order in that window widened by 30 % of the record's length at
    both ends, whether it is there word for word, and the bytes of the widened window and of the shared shingles.
    `wholes` takes each text's whole hash. Returns (candidates, next text).
    """
    most = room(by_word, data, offsets, first, len(offsets) - 1, folded, expansions)
    hashes, found = np.empty(most, np.uint64), np.empty(most, np.uint64)
    begins, ends, through = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most + 1, np.int64)
    longest = room(by_word, private, private_offsets, 0, len(private_offsets) - 1, folded, expansions)
    record = np.empty(longest, np.uint64)
    record_begins, record_ends = np.empty(longest, np.int64), np.empty(longest, np.int64)
    places, entries, owners = np.empty(256, np.int64), np.empty(256, np.int64), np.empty(256, np.int64)
    before, after = np.empty(256, np.int64), np.empty(256, np.int64)
    slots, masks = np.empty(256, np.int64), np.empty(256, np.uint64)
    candidates = 0
    for i in range(first, len(offsets) - 1):
        count = units(by_word, data, offsets[i], offsets[i + 1], folded, expansions, hashes, begins, ends)
        if count:
            wholes[i] = whole(hashes, count)
        number = shingle(hashes, count, size, found) if count >= size else 0
        hits, places, entries, owners = hits_of(
            found, number, shift, filter_shift, starts, fingerprints, postings, bits, through, places, entries, owners
        )
        if hits < 2:
            continue
        if candidates + hits // 2 > len(rows):
            return candidates, i
        if len(before) < len(places):
            before, after = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
        neighbours(places, entries, hits, before, after)
        order = np.argsort(owners[:hits], kind="mergesort")
        begin = 0
        while begin < hits:
            owner = owners[order[begin]]
            end = begin + 1
            while end < hits and owners[order[end]] == owner:
                end += 1
            need = max(2, np.int64(np.ceil(least_share * kept[owner])))
            units_here = np.int64(lengths[owner])
            if end - begin >= need:
                distinct, low, high = best_window(
                    order, begin, end, places, before, after, max(2 * units_here - size, size)
                )
                if distinct >= need:
                    from_, until = low, high + size
                    pad = (3 * units_here + 9) // 10
                    low, high = max(0, from_ - pad), min(count, until + pad)
                    units(
                        by_word, private, private_offsets[owner], private_offsets[owner + 1], folded, expansions,
                        record, record_begins, record_ends,
                    )  # fmt: skip
                    length, slots, masks = common_subsequence(record, units_here, hashes, low, high, slots, masks)
                    if length >= least_coverage * units_here:
                        rows[candidates], groups[candidates] = i, owner
                        coverage[candidates] = length / units_here
                        verbatim[candidates] = until - from_ == units_here and distinct == until - from_ - size + 1
                        spans[candidates, 0], spans[candidates, 1] = begins[low], ends[high - 1]
                        spans[candidates, 2], spans[candidates, 3] = begins[from_], ends[until - 1]
                        candidates += 1
            begin = end
    return candidates, len(offsets) - 1

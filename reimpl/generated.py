"""Private records made by rule from a public seed, for runs that need no data: the same on every machine.

Texts of a class share words, texts of a person a turn of phrase; a person has one to five records. The training part
holds the canaries that were drawn to be members: an ordinary beginning and an ending of words in a random order, as
arXiv 2502.14921 found such canaries to leave the clearest traces in synthetic text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SEED = 20250211  # public, and no secret depends on it: these records are nobody's
COUNTS = {"train": 256, "test": 128, "public": 128}
CANARIES, ONE_IN = 240, 6  # a canary is a member with probability 1/6: enough others to see a rate of 1 %
TOPICS = (
    ("battery", "screen", "update", "crash", "login", "button", "account", "phone"),
    ("sleep", "worry", "panic", "doctor", "evening", "breath", "friend", "work"),
    ("dose", "tablet", "stomach", "pharmacy", "relief", "morning", "nurse", "headache"),
    ("offer", "prize", "link", "invoice", "bank", "password", "winner", "voucher"),
    ("kitchen", "waiter", "table", "pizza", "garden", "music", "parking", "dessert"),
)
QUALITIES = ("slow", "broken", "decent", "lovely", "perfect", "strange", "cheap", "sudden")
OPENINGS = ("today", "last week", "honestly", "once again", "to be fair", "since then")
VERBS = ("was", "became", "seemed", "stayed", "felt", "looked")
HABITS = ("as my sister says", "mark my words", "for what it is", "no more no less", "so it goes", "you know me")
PROMPTS = (  # every word of the prompts of the built-in recipes
    "write a post to the anxiety bipolar depression offmychest suicidewatch community",
    "non - spam e mail mild notable concerning serious hot app review",
    "terrible poor neutral good great medicine negative positive drug :",
)
ENDINGS = ("i told them so", "we will see", "that is all", "never again", "and i would return", "please help")
Row = tuple[str, int, str]


def vocabulary() -> list[str]:
    """Every word that a generated record or a prompt of a built-in recipe can hold, sorted."""
    phrases = (
        *PROMPTS,
        *OPENINGS,
        *VERBS,
        *HABITS,
        *ENDINGS,
        *QUALITIES,
        *(word for topic in TOPICS for word in topic),
    )
    return sorted({word for phrase in phrases for word in phrase.split()} | {"the", "and"})


def generated(split: str, classes: int, count: int | None = None) -> list[Row]:
    """(text, label, person) of a split: train, test, or public (other persons' texts that need no protection).

    count records (those of COUNTS without one), and in the training part the canaries that are members.
    """
    if split not in COUNTS:
        raise ValueError(f"split: expected one of {', '.join(COUNTS)}; got {split!r}")
    draw = np.random.RandomState([SEED, list(COUNTS).index(split)])  # the one stream that numpy never changes
    rows = list(persons(split, classes, count or COUNTS[split], draw))
    if split == "train":
        rows += [(text, label, f"canary-{number}") for number, (text, label, member) in canaries(classes) if member]
    return rows


def persons(split: str, classes: int, count: int, draw: np.random.RandomState) -> Iterator[Row]:
    """count records; a person writes one to five, each with a label of its own."""
    done = person = 0
    while done < count:
        habit = pick(HABITS, draw)
        for _ in range(min(1 + draw.randint(5), count - done)):
            label = done % classes
            yield sentence(label, habit, draw), label, f"{split}-{person}"
            done += 1
        person += 1


def sentence(label: int, habit: str, draw: np.random.RandomState) -> str:
    words = TOPICS[label % len(TOPICS)]
    said = f"{pick(OPENINGS, draw)} the {pick(QUALITIES, draw)} {pick(words, draw)} {pick(VERBS, draw)}"
    return f"{said} {pick(QUALITIES, draw)} and the {pick(words, draw)} {habit} {pick(ENDINGS, draw)}"


def canaries(classes: int) -> list[tuple[int, tuple[str, int, bool]]]:
    """(number, (text, label, member)): CANARIES of them, each a member with probability 1 / ONE_IN."""
    draw = np.random.RandomState([SEED, len(COUNTS)])
    words = sorted({word for phrase in (*HABITS, *ENDINGS, *QUALITIES, *sum(TOPICS, ())) for word in phrase.split()})
    made = []
    for number in range(CANARIES):
        label = number % classes
        beginning = " ".join(sentence(label, pick(HABITS, draw), draw).split()[:4])
        ending = " ".join(pick(words, draw) for _ in range(10))
        made.append((number, (f"{beginning} {ending}", label, not draw.randint(ONE_IN))))
    return made


def pick(choices: tuple[str, ...] | list[str], draw: np.random.RandomState) -> str:
    return choices[draw.randint(len(choices))]

"""Command lines of shell scripts, of shell blocks in Markdown and of settings files, as words. Nothing is expanded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

MAX_COMMAND = 64 << 10  # characters of one command; a longer one is cut
_HEREDOC = re.compile(r"(?<!<)<<-?\s*[\"']?([A-Za-z_]\w*)")
_FENCE = re.compile(r"\s*(```+|~~~+)\s*(\w*)")
_SHELLS = {"", "bash", "sh", "shell", "console", "terminal", "zsh"}
_SETTING = re.compile(r"\s*\"?([A-Za-z_][\w-]{0,60})\"?\s*[:=]\s*(\"[^\"]{0,80}\"|'[^']{0,80}'|[\w.+-]{1,40})\s*,?")


@dataclass(frozen=True)
class Command:
    """One simple command and the line it begins on."""

    words: tuple[str, ...]
    line: int

    @property
    def script(self) -> str | None:
        """The Python file it runs, as it is written, or None."""
        return next((word for word in self.words if word.endswith(".py")), None)

    def flag(self, name: str) -> str | None:
        """The value after `--name`, "" where none follows, None where the flag is not given."""
        for place, word in enumerate(self.words):
            key, equals, value = word.partition("=")
            if key.startswith("--") and key.lstrip("-").replace("-", "_") == name:
                following = self.words[place + 1 : place + 2]
                return value if equals else next((w for w in following if not w.startswith("-")), "")
        return None


@dataclass(frozen=True)
class Setting:
    """A `key: value` of a JSON or YAML file, on a line of its own."""

    key: str
    value: str
    line: int


def commands(lines: tuple[str, ...]) -> tuple[Command, ...]:
    """Every simple command of a script, with continued lines joined and here-documents passed over."""
    return tuple(Command(words, line) for line, text in _logical(lines) for words in _split(text))


def in_markdown(lines: tuple[str, ...]) -> tuple[Command, ...]:
    """The commands in a Markdown file's shell blocks."""
    return commands(tuple(_fenced(lines)))


def settings(lines: tuple[str, ...]) -> tuple[Setting, ...]:
    """Every setting that has a line of its own, in a file's order."""
    found = ((number, _SETTING.fullmatch(line[:400].rstrip())) for number, line in enumerate(lines, 1))
    return tuple(Setting(m[1].replace("-", "_"), m[2].strip("\"'"), number) for number, m in found if m)


def _fenced(lines: tuple[str, ...]) -> Iterator[str]:
    """The lines with everything outside shell blocks blanked, so that numbers stay."""
    fence, shell = "", False
    for line in lines:
        mark = _FENCE.match(line)
        if mark and not fence:
            fence, shell = mark[1], mark[2].lower() in _SHELLS
            yield ""
        elif mark and mark[1].startswith(fence) and not mark[2]:
            fence = ""
            yield ""
        else:
            yield line.strip().removeprefix("$ ") if fence and shell else ""


def _logical(lines: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    parts: list[str] = []
    begun, until, ends = 0, "", {line.strip() for line in lines}
    for number, line in enumerate(lines, 1):
        if until:
            until = "" if line.strip() == until else until
            continue
        begun = begun if parts else number
        if line.rstrip().endswith("\\"):
            parts.append(line.rstrip()[:-1])
            continue
        text = " ".join([*parts, line])[:MAX_COMMAND]
        parts = []
        here = _HEREDOC.search(text)
        until = here[1] if here and here[1] in ends else ""
        if text.strip() and not text.lstrip().startswith("#"):
            yield begun, text
    if parts:
        yield begun, " ".join(parts)[:MAX_COMMAND]


def _split(text: str) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    for word in _words(text):
        if word.startswith("#"):
            break
        if set(word) <= set(";&|"):
            if words:
                yield tuple(words)
            words = []
        else:
            words.append(word)
    if words:
        yield tuple(words)


def _words(text: str) -> list[str]:
    """The words, quotations undone; of what has an open quotation, those before a comment, or as they stand."""
    return _lexed(text) or _lexed(re.split(r"\s#", text, maxsplit=1)[0]) or text.split()


def _lexed(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # a quotation that does not end on this line
        return []

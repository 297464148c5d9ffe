"""Reading MyST markdown: its displayed equations, and its prose without mathematics, code, links and roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}|~{3,}|:{3,})[ \t]*(?:\{(?P<name>[\w:-]+)\})?(?P<rest>[^`]*)")
NOT_PROSE = ("code", "code-block", "code-cell", "raw", "glue", "bibliography", "toctree")  # directives
OF_PATHS = ("figure", "image", "include")  # their argument is a path, what stands in them is prose
OPTION = re.compile(r"[ \t]*:[\w-]+:")
LABEL = re.compile(r":label:\s*(\S+)")
CODE_OR_ROLE = re.compile(r"(?:\{[\w:+-]+\})?(?P<ticks>`+).+?(?P=ticks)(?!`)", re.S)
MATHS = re.compile(
    r"\$\$(?P<body>.+?)\$\$[ \t]*(?:\((?P<label>[^)\s]+)\))?"
    r"|\\begin\{(?P<kind>(?:equation|align|alignat|gather|multline|eqnarray)\*?)\}(?P<inner>.*?)\\end\{(?P=kind)\}",
    re.S,
)
ASIDE = (
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"(?<!\\)\$(?:[^$\n]|\n(?!\s*\n))+\$"),
    re.compile(r"!?\[[^\]]*\]\([^)]*\)|<https?://[^>]*>|https?://\S+"),
    re.compile(r"arXiv:\d+\.\d+", re.I),
)


@dataclass(frozen=True)
class Equation:
    """A displayed equation: its label (empty if none) and its LaTeX."""

    label: str
    tex: str


def equations(text: str) -> list[Equation]:
    """Return the displayed equations of ``text``, in order.

    >>> equations("$$a = b$$ (toy:a)")
    [Equation(label='toy:a', tex='a = b')]
    """
    return [piece for piece in _pieces(text.splitlines()) if isinstance(piece, Equation)]


def prose(text: str) -> str:
    """Return ``text`` without mathematics, code, links, roles and citations.

    >>> prose("It is {claim}`x` of $2.5$, not `3.5`.").split()
    ['It', 'is', 'of', ',', 'not', '.']
    """
    kept = "\n".join(piece for piece in _pieces(text.splitlines()) if isinstance(piece, str))
    for pattern in ASIDE:
        kept = pattern.sub(" ", kept)
    return kept


def _pieces(lines: list[str]) -> Iterator[Equation | str]:
    """Yield equations and the text between them; of a directive its body, of code nothing."""
    start = at = 0
    while at < len(lines):
        fence = FENCE.fullmatch(lines[at])
        if not fence:
            at += 1
            continue
        yield from _text("\n".join(lines[start:at]))
        end = _end(lines, at, fence["mark"])
        yield from _block(fence, lines[at + 1 : end])
        start = at = end + 1
    yield from _text("\n".join(lines[start:]))


def _end(lines: list[str], start: int, mark: str) -> int:
    """Return the line that closes the fence: the same character at least as often, and nothing else."""
    for at in range(start + 1, len(lines)):
        line = lines[at].strip()
        if len(line) >= len(mark) and line == mark[0] * len(line):
            return at
    return len(lines)


def _block(fence: re.Match[str], body: list[str]) -> Iterator[Equation | str]:
    options = 0
    while fence["name"] and options < len(body) and OPTION.match(body[options]):
        options += 1
    if fence["name"] == "math":
        label = LABEL.search("\n".join(body[:options]))
        yield Equation(label[1] if label else "", "\n".join([fence["rest"], *body[options:]]).strip())
    elif fence["name"] and fence["name"] not in NOT_PROSE:
        yield "" if fence["name"] in OF_PATHS else fence["rest"]
        yield from _pieces(body[options:])
    elif fence["mark"][0] == ":" and not fence["name"]:
        yield from _pieces(body)


def _text(text: str) -> Iterator[Equation | str]:
    text, done = CODE_OR_ROLE.sub(" ", text), 0
    for match in MATHS.finditer(text):
        yield text[done : match.start()]
        yield Equation(match["label"] or "", match["body"] or match["inner"])
        done = match.end()
    yield text[done:]

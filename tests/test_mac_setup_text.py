"""Start-up files as people have them: what an edit changes, what it leaves, and what zsh makes of it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from zsh_judge import need_zsh, zsh_lists

from workings import mac_setup
from workings.mac_setup import (
    LAST,
    SetupError,
    add_conda,
    add_line,
    add_oh_my_zsh,
    add_plugins,
    merge_plugins,
    plugin_list,
    set_theme,
    unix_lines,
)

SOURCE = 'source "$ZSH/oh-my-zsh.sh"'
EDITS: dict[str, Callable[[str], str]] = {
    "line": lambda text: add_line(text, "eval x"),
    "oh-my-zsh": add_oh_my_zsh,
    "plugins": lambda text: add_plugins(text, ["macos", "git"]),
    "highlighting": lambda text: add_plugins(text, [LAST]),
    "theme": lambda text: set_theme(text, "af-magic"),
    "conda": lambda text: add_conda(text, "/opt/conda"),
    "line ends": unix_lines,
}


# ---- lists of plugins, each as it was and as it is with macos, git and highlighting ---------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("plugins=(git)\n", f"plugins=(git macos {LAST})\n"),
        ("plugins=(git)", f"plugins=(git macos {LAST})"),
        ("plugins=()\n", f"plugins=(macos git {LAST})\n"),
        ("plugins=( git )\n", f"plugins=( git macos {LAST} )\n"),
        (f"plugins=(macos git {LAST})\n", f"plugins=(macos git {LAST})\n"),
        (f"plugins=(git {LAST})\n", f"plugins=(git macos {LAST})\n"),
        (f"plugins=({LAST} git)\n", f"plugins=(git macos {LAST})\n"),
        (f"plugins=({LAST} git {LAST})\n", f"plugins=(git macos {LAST})\n"),
        ("plugins=(\n  git\n)\n", f"plugins=(\n  git\n  macos\n  {LAST}\n)\n"),
        ("plugins=(\n\tgit)\n", f"plugins=(\n\tgit\n\tmacos\n\t{LAST})\n"),
        ("plugins=(git\n      vi-mode\n)\n", f"plugins=(git\n      vi-mode\n      macos\n      {LAST}\n)\n"),
        ("plugins=(git # :)\n)\n", f"plugins=(git # :)\n  macos\n  {LAST}\n)\n"),
        ("plugins=(\n)\n", f"plugins=(\n  macos\n  git\n  {LAST}\n)\n"),
        ("plugins=(\n  # none yet\n)\n", f"plugins=(\n  # none yet\n  macos\n  git\n  {LAST}\n)\n"),
        (f"plugins=(\n  {LAST}  # last\n)\n", f"plugins=(\n  macos\n  git\n  {LAST}  # last\n)\n"),
        (f"plugins=(\n  {LAST}\n  git\n)\n", f"plugins=(\n  git\n  macos\n  {LAST}\n)\n"),
        (f"plugins=(\n  {LAST} git\n)\n", f"plugins=(\n  git\n  macos\n  {LAST}\n)\n"),
        (f"plugins=(\n  {LAST}\n)\nplugins+=(git)\n", f"plugins=(\n)\nplugins+=(git macos {LAST})\n"),
        ("plugins=('git' \"vi-mode\")\n", f"plugins=('git' \"vi-mode\" macos {LAST})\n"),
        ("plugins=(git \\\n  vi-mode)\n", f"plugins=(git \\\n  vi-mode\n  macos\n  {LAST})\n"),
        ("plugins=(git)\nplugins+=(vi-mode)\n", f"plugins=(git)\nplugins+=(vi-mode macos {LAST})\n"),
        ("plugins=(a)\nplugins=(git)\n", f"plugins=(a)\nplugins=(git macos {LAST})\n"),
        ("export plugins=(git)\n", f"export plugins=(git macos {LAST})\n"),
        ("typeset -a plugins=(git)\n", f"typeset -a plugins=(git macos {LAST})\n"),
        ("plugins=($mine git)\n", f"plugins=($mine git macos {LAST})\n"),
        ("plugins=($(echo a) ${x:-b} `echo c` git)\n", f"plugins=($(echo a) ${{x:-b}} `echo c` git macos {LAST})\n"),
        ("# plugins=(a)\nplugins=(git)\n", f"# plugins=(a)\nplugins=(git macos {LAST})\n"),
        ("a-plugins=(a)\nzplugins=(b)\n$plugins=(c)\n",
         f"a-plugins=(a)\nzplugins=(b)\n$plugins=(c)\nplugins=(macos git {LAST})\n"),
        ("", f"plugins=(macos git {LAST})\n"),
        (f"{SOURCE}\n", f"plugins=(macos git {LAST})\n{SOURCE}\n"),
        (f"a\n{SOURCE}\nplugins=(git)\n", f"a\nplugins=(macos git {LAST})\n{SOURCE}\nplugins=(git)\n"),
        ("plugins=(git)\n[[ -f x ]] && . ~/.oh-my-zsh/oh-my-zsh.sh\nplugins=(a)\n",
         f"plugins=(git macos {LAST})\n[[ -f x ]] && . ~/.oh-my-zsh/oh-my-zsh.sh\nplugins=(a)\n"),
        (f"# {SOURCE}\nplugins=(git)\n", f"# {SOURCE}\nplugins=(git macos {LAST})\n"),
        (f"plugins=(git)\n[[ -n $MAC ]] && plugins+=(macos)\n{SOURCE}\n",
         f"plugins=(git)\n[[ -n $MAC ]] && plugins+=(macos)\nplugins+=(macos {LAST})\n{SOURCE}\n"),
        (f"plugins=(git macos {LAST})\nif true; then\n  plugins+=(x)\nfi\n{SOURCE}\n",
         f"plugins=(git macos)\nif true; then\n  plugins+=(x)\nfi\nplugins+=({LAST})\n{SOURCE}\n"),
        ("plugins=(git)\nplugins+=vi-mode\n", f"plugins=(git)\nplugins+=vi-mode\nplugins+=(macos {LAST})\n"),
        ("plugins=(git)\r\n", f"plugins=(git macos {LAST})\r\n"),
        ("plugins=(\r\n  git\r\n)\r\n", f"plugins=(\r\n  git\r\n  macos\r\n  {LAST}\r\n)\r\n"),
        (f"plugins=(\r\n  {LAST}\r\n  git\r\n)\r\n", f"plugins=(\r\n  git\r\n  macos\r\n  {LAST}\r\n)\r\n"),
        (f"a\r\n{SOURCE}\r\n", f"a\r\nplugins=(macos git {LAST})\r\n{SOURCE}\r\n"),
        ("plugins=(git) # é \udcff\n", f"plugins=(git macos {LAST}) # é \udcff\n"),
    ],
)  # fmt: skip
def test_a_list_in_any_layout_is_extended_in_its_own_manner(before: str, after: str) -> None:
    assert add_plugins(before, ["macos", "git", LAST]) == after
    assert add_plugins(after, ["macos", "git", LAST]) == after


@pytest.mark.parametrize("text", ["plugins=(git\n", "plugins=(git 'x)\n", "a\nplugins=(a(N) b)\n", 'plugins=("a)'])
def test_a_list_that_cannot_be_read_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(SetupError, match=f"plugins=. of line {text.count(chr(10), 0, text.index('plugins')) + 1} "):
        add_plugins(text, ["macos"])


def test_a_list_that_needs_nothing_is_let_be_even_where_a_condition_adds_to_it() -> None:
    text = "plugins=(git)\n[[ -n $MAC ]] && plugins+=(x)\n"
    assert add_plugins(text, ["git"]) == text


@pytest.mark.parametrize(
    ("have", "wanted", "merged"),
    [
        (["b", "a"], ["a", "c"], ["b", "a", "c"]),
        (["a", "a"], ["b", "b"], ["a", "a", "b"]),
        ([LAST, "a"], [], ["a", LAST]),
        (["a"], [LAST, "b"], ["a", "b", LAST]),
        ([LAST, LAST], [LAST], [LAST]),
        ([], [], []),
    ],
)
def test_lists_are_merged_in_the_order_in_which_they_work(
    have: list[str], wanted: list[str], merged: list[str]
) -> None:
    assert merge_plugins(have, wanted) == merged


def drawn(rng: random.Random) -> str:
    """Draw a start-up file with one or two lists of plugins in some layout."""
    pieces = [rng.choice(["", "# my zshrc\n", "export A=1\n\n", "alias p='plugins=(no)'\n", 'X="a # b"\n'])]
    names = ["git", "macos", "vi-mode", "z", LAST, "a#b", "docker-compose", "web-search"]
    for i in range(rng.choice([1, 1, 2, 3])):
        sign = "=" if i == 0 or rng.random() < 0.2 else "+="
        many, end = rng.random() < 0.6, "\n" + rng.choice(["", "  ", "\t"])
        body = rng.choice(["", " "]) if not many else ""
        for name in rng.sample(names, rng.randrange(5)):
            word = rng.choice([name, name, f"'{name}'", f'"{name}"', name[:-1] + "\\" + name[-1:], f"$'{name}'"])
            comment = rng.choice(["", "", " # it's", "  # ) x", " #", f" # {LAST}"]) if many else ""
            body += (end if many else "") + word + comment + ("" if many else rng.choice([" ", "  ", "\t"]))
        close = rng.choice(["\n", "\n  "]) if many else ""
        pieces.append(f"plugins{sign}({body}{close})" + rng.choice(["\n", "  # done\n", "\n\n", "; B=2\n"]))
        pieces.append(rng.choice(["", "alias l=ls\n", "# plugins=(rails)\n"]))
    return "".join(pieces) + rng.choice(["", "alias end=end"])


def frame(text: str) -> str:
    """Return a text without what stands in its lists, comments excepted."""
    hollow = ""
    position = 0
    for match in mac_setup._ASSIGNED.finditer(text):
        if match["open"] and mac_setup._SIMPLE.fullmatch(match["lead"]):
            literal = mac_setup._literal(text, match.end(), False)
            comments = [text[token.start : token.end] for token in literal.tokens if not token.word]
            hollow += text[position : literal.start] + "".join(comments)
            position = literal.end
    return hollow + text[position:]


def test_zsh_reads_drawn_files_as_they_are_read_here_and_finds_the_merged_list_in_edited_ones(tmp_path: Path) -> None:
    need_zsh()
    rng = random.Random(7)
    before = [drawn(rng) for _ in range(400)]
    wanted = [rng.sample(["git", "macos", LAST, "z", "new", "newer"], rng.randrange(1, 4)) for _ in before]
    after = [add_plugins(text, names) for text, names in zip(before, wanted, strict=True)]
    assert after == [add_plugins(text, names) for text, names in zip(after, wanted, strict=True)]
    assert [frame(text) for text in after] == [frame(text) for text in before]
    windows = [add_plugins(text.replace("\n", "\r\n"), names) for text, names in zip(before, wanted, strict=True)]
    assert [unix_lines(text) for text in windows] == after
    lists = zsh_lists(tmp_path, before + after)
    found, edited = lists[: len(before)], lists[len(before) :]
    raw = re.compile(r"^\$'(.*)'$")  # a quote whose value is left to zsh
    assert [[raw.sub(r"\1", name) for name in plugin_list(text)] for text in before] == found
    plain = [i for i, text in enumerate(before) if "$'" not in text]
    assert len(plain) > 100
    assert [edited[i] for i in plain] == [merge_plugins(found[i], wanted[i]) for i in plain]
    assert sum(LAST in names for names in edited) > 100


def test_where_a_condition_adds_plugins_zsh_still_finds_all_and_highlighting_last(tmp_path: Path) -> None:
    need_zsh()
    rng, texts = random.Random(8), []
    for _ in range(100):
        addition = rng.choice(["[[ -n $MAC ]] && plugins+=(z)", "if true; then\n  plugins+=(z)\nfi"])
        texts.append(drawn(rng).replace("$'", "'") + "\n" + addition + "\n")
    before = zsh_lists(tmp_path, texts)
    after = zsh_lists(tmp_path, [add_plugins(text, ["macos", "git", LAST]) for text in texts])
    for had, has in zip(before, after, strict=True):
        assert has.index(LAST) == len(has) - 1
        assert {"macos", "git", "z"} <= set(has)
        assert [name for name in had if name != LAST] == has[: len([name for name in had if name != LAST])]


# ---- the other edits -----------------------------------------------------------------------------------------------

FILES = {
    "empty": "",
    "no last line end": "alias a=b",
    "blank": "\n\n",
    "comment": "# eval x\n",
    "template": f'# c\nexport ZSH="$HOME/.oh-my-zsh"\nZSH_THEME="robbyrussell"\nplugins=(git)\n{SOURCE}\n',
    "windows": f'ZSH_THEME="robbyrussell"\r\nplugins=(git)\r\n{SOURCE}\r\n# end\r\n',
    "conda": add_conda("alias a=b\n", "/opt/conda"),
    "other bytes": "alias a='\udcff'\n",
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("file", FILES)
def test_a_second_edit_changes_nothing_and_what_was_there_is_still_there(file: str, edit: str) -> None:
    once = EDITS[edit](FILES[file])
    assert EDITS[edit](once) == once
    if edit not in ("plugins", "highlighting", "theme", "line ends"):
        lines = once.splitlines()
        kept = [line for line in FILES[file].splitlines() if line]
        assert [line for line in lines if line in kept] == kept
    assert ("\r\n" in once) == ("\r\n" in FILES[file] and edit != "line ends")
    assert not re.search(r"(?<!\r)\n", once) or "\r\n" not in once


@pytest.mark.parametrize("file", FILES)
def test_edits_may_come_in_any_order(file: str) -> None:
    """The lists are the same, the blocks are there once: oh-my-zsh does not lose what came before it."""
    rng, names = random.Random(3), [name for name in EDITS if name != "oh-my-zsh"]
    found = set()
    for _ in range(20):
        text = FILES[file]
        for name in rng.sample(sorted(EDITS), len(EDITS)):
            text = EDITS[name](text)
        for name in EDITS:  # those that came before oh-my-zsh found nothing to change yet
            text = EDITS[name](text)
        assert len(names) == 6
        assert text.count("# >>> conda initialize >>>") == text.count("# <<< conda initialize <<<") == 1
        assert len(re.findall(r"^eval x$", text, re.M)) == 1
        found.add((*sorted(plugin_list(text)[:-1]), plugin_list(text)[-1]))
    assert found == {("git", "macos", LAST)}


def test_a_line_counts_as_there_if_another_is_like_it() -> None:
    path = 'eval "$(/opt/homebrew/bin/brew shellenv)"'
    like = r"[^#\n]*\bbrew shellenv"
    assert add_line(f"  {path}\n", "new", like) == f"  {path}\n"
    assert add_line(f"# {path}\n", "new", like) == f"# {path}\nnew\n"
    assert add_line(f"x # {path}", "new", like) == f"x # {path}\nnew\n"
    assert add_line("newer\nx new\n", "new line") == "newer\nx new\nnew line\n"
    assert add_line("a+b\n", "a.b") == "a+b\na.b\n"


def test_oh_my_zsh_comes_first_and_its_owners_lines_have_the_last_word() -> None:
    assert add_oh_my_zsh("").splitlines()[-1] == 'source "$ZSH/oh-my-zsh.sh"'
    assert add_oh_my_zsh("alias g=x\n").splitlines()[-2:] == ["", "alias g=x"]
    for there in (f"a\n{SOURCE}\n", "  . $ZSH/oh-my-zsh.sh", "[ -f y ] && source ~/.oh-my-zsh/oh-my-zsh.sh\n"):
        assert add_oh_my_zsh(there) == there
    for absent in (f"# {SOURCE}\n", "resource oh-my-zsh.sh\n", "cat oh-my-zsh.sh\n"):
        assert add_oh_my_zsh(absent).endswith(absent)
        assert add_oh_my_zsh(absent) != absent


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('ZSH_THEME="robbyrussell"\n', 'ZSH_THEME="new"\n'),
        ("ZSH_THEME=robbyrussell # nice\n", "ZSH_THEME=new # nice\n"),
        ("  ZSH_THEME='robbyrussell'", "  ZSH_THEME='new'"),
        ('ZSH_THEME="agnoster"\n', 'ZSH_THEME="agnoster"\n'),
        ('ZSH_THEME=""\n', 'ZSH_THEME=""\n'),
        ('ZSH_THEME="robbyrussell"\nZSH_THEME="mine"\n', 'ZSH_THEME="robbyrussell"\nZSH_THEME="mine"\n'),
        ('ZSH_THEME="mine"\nZSH_THEME="robbyrussell"\n', 'ZSH_THEME="mine"\nZSH_THEME="new"\n'),
        ('# ZSH_THEME="robbyrussell"\n', '# ZSH_THEME="robbyrussell"\nZSH_THEME="new"\n'),
        (f"{SOURCE}\n", f'ZSH_THEME="new"\n{SOURCE}\n'),
    ],
)
def test_only_the_theme_it_comes_with_gives_way(before: str, after: str) -> None:
    assert set_theme(before, "new") == after


def test_the_conda_block_is_valid_and_survives_a_folder_with_a_space(tmp_path: Path) -> None:
    need_zsh()
    conda = tmp_path / "a b's" / "bin" / "conda"
    conda.parent.mkdir(parents=True)
    conda.write_text("#!/bin/sh\necho 'plugins=(hooked '$*')'\n", encoding="utf-8")
    conda.chmod(0o755)
    hooked = add_conda("A=1\n", str(conda.parents[1]))
    absent = add_conda("A=1\n", str(tmp_path / "none")) + "plugins=(${(s.:.)PATH})\nplugins=($plugins[1])\n"
    assert zsh_lists(tmp_path, [hooked, absent]) == [["hooked", "shell.zsh", "hook"], [str(tmp_path / "none/bin")]]
    other = "# >>> conda initialize >>>\nmine\n# <<< conda initialize <<<\n"
    assert add_conda(other, "/opt/conda") == other

"""The workflows: sound, trusted with no more than they need, and true to the README, the Makefile and the modules."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.y*ml"))}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
READY = ".venv/.installed"  # what make takes as the sign of an environment that is made
HOSTED = re.compile(r"(ubuntu|windows|macos)-[\w.-]+")
Workflow = dict[str, Any]


def parse(text: str) -> Workflow:
    """Read a workflow; for YAML 1.1 its key ``on`` is true."""
    return {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}


WORKFLOWS = {name: parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}

GOOD = """\
name: good
on: {push: {branches: [main]}, workflow_dispatch: {}}
permissions: {contents: read}
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - run: make test
  last:
    needs: [gate]
    runs-on: [self-hosted, gpu]
    steps:
      - run: echo end
"""


def planted(old: str, new: str) -> str:
    """Return the good workflow with one thing changed."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def listed(value: Any) -> list[Any]:
    """Return what may be written as one thing or as several as several."""
    return [] if value is None else value if isinstance(value, list) else [value]


def jobs(workflow: Workflow) -> dict[str, Workflow]:
    found: dict[str, Workflow] = workflow["jobs"]
    return found


def steps(workflow: Workflow) -> Iterator[tuple[str, Workflow]]:
    """Yield each step with the name of its job."""
    for name, job in jobs(workflow).items():
        for step in job["steps"]:
            yield name, step


def commands(script: str) -> Iterator[list[str]]:
    """Yield the words of each command in a shell script, without its comments."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            for word in lexer:
                if set(word) <= set("();<>|&"):
                    yield words
                    words = []
                else:
                    words.append(word)
        except ValueError:  # a quotation that goes on in the next line
            words = line.split()
        yield words


def test_there_are_workflows_to_test() -> None:
    assert set(WORKFLOWS) == {"ci", "gpu", "pages", "weekly"}
    assert all(WORKFLOWS[name]["name"] == name for name in WORKFLOWS)
    assert set(WORKFLOWS["ci"]["on"]) == {"push", "pull_request"}


def test_commands_of_a_script() -> None:
    script = "make a  # make b\nif true; then make c && make -k d e; fi\nx=$(make f) | g \\\n  h\ndon't stop"
    assert [words for words in commands(script) if words[-1:] != ["fi"]] == [
        ["make", "a"],
        ["if", "true"],
        ["then", "make", "c"],
        ["make", "-k", "d", "e"],
        ["x=$"],
        ["make", "f"],
        [],
        ["g", "h"],
        ["don't", "stop"],
    ]


# actionlint


def tool(name: str) -> str:
    """Return the path of a linter; without it a test is skipped, but under CI it fails: nobody would see it there."""
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        say = f"no {name} here: pip install -c constraints.txt -e '.[test]' brings it"
        if os.environ.get("CI"):
            pytest.fail(say)
        pytest.skip(say)
    return found


def lint(*files: Path) -> list[str]:
    """Return what actionlint finds, with the same helpers and settings wherever it runs."""
    settings = ["-config-file", str(ROOT / ".github/actionlint.yaml"), "-shellcheck", tool("shellcheck"), "-pyflakes="]
    command = [tool("actionlint"), "-no-color", "-oneline", *settings, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_actionlint_finds_nothing() -> None:
    assert lint(*FILES.values()) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", ""),
        ("workflow_dispatch: {}", "pull_requests: {}", "unknown Webhook event"),
        ("needs: [gate]", "needs: [gates]", "does not exist"),
        ("gpu]", "tpu]", 'label "tpu" is unknown'),
        ("checkout@v6", "checkout@v4", "node20"),
        ("make test", "make ${{ matrix.target }}", 'property "target" is not defined'),
        ("make test", "cd $HOME && make test", "SC2086"),
        ("contents: read", "content: read", "unknown permission scope"),
    ],
)
def test_actionlint_finds_what_is_planted(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(planted(old, new) if old else GOOD, encoding="utf-8")
    found = lint(path)
    assert fault in "\n".join(found)
    assert bool(found) == bool(fault)


def test_a_missing_linter_is_an_error_under_ci_and_else_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no nolint here"):
        tool("nolint")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no nolint here"):
        tool("nolint")


# what a workflow may do, and for whom


def grants(workflow: Workflow) -> set[tuple[str, str]]:
    """Return which job may write what; ``default`` where nothing says what it may."""
    found = set()
    for name, job in jobs(workflow).items():
        given = job.get("permissions", workflow.get("permissions"))
        if isinstance(given, dict):
            found |= {(name, scope) for scope, level in given.items() if level == "write"}
        elif given != "read-all":
            found.add((name, "default" if given is None else given))
    return found


def exposed(workflow: Workflow) -> list[str]:
    """Return how others than those who may push to main could run code on a machine of ours."""
    events = workflow["on"] if isinstance(workflow["on"], dict) else dict.fromkeys(listed(workflow["on"]))
    ways = sorted(set(events) - {"push", "workflow_dispatch"})
    if "push" in events and (events["push"] or {}).get("branches") != ["main"]:
        ways.append("push to any branch")
    own = [name for name, job in jobs(workflow).items() if not HOSTED.fullmatch(str(job["runs-on"]))]
    return [f"{name}: {way}" for name in own for way in ways]


def interpolated(workflow: Workflow) -> list[str]:
    """Return the jobs with a script into which GitHub would paste text, which the shell would take as code."""
    return [job for job, step in steps(workflow) if "${{" in step.get("run", "")]


def ungated(workflow: Workflow, gate: str) -> list[str]:
    """Return the jobs that do not wait for ``gate``, or run even if it fails."""

    def waits(name: str) -> bool:
        job = jobs(workflow)[name]
        if re.search(r"always|cancelled|failure", str(job.get("if", ""))):
            return False
        return name == gate or any(waits(other) for other in listed(job.get("needs")))

    return [name for name in jobs(workflow) if not waits(name)]


def opens(condition: str, **values: str) -> bool:
    """Evaluate the condition of a job; ``github.event.x`` is given as ``event_x``, and is empty otherwise."""
    python = condition.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"github((\.\w+)+)", lambda found: repr(values.get(found[1][1:].replace(".", "_"), "")), python)
    return bool(eval(python, {"__builtins__": {}}))


def test_only_what_publishes_or_reports_may_write() -> None:
    assert {(name, *grant) for name, workflow in WORKFLOWS.items() for grant in grants(workflow)} == {
        ("pages", "colab", "contents"),
        ("pages", "deploy", "id-token"),
        ("pages", "deploy", "pages"),
        ("weekly", "report", "issues"),
    }


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ("permissions: {contents: read}", set()),
        ("permissions: read-all", set()),
        ("permissions: {contents: write}", {("gate", "contents"), ("last", "contents")}),
        ("permissions: write-all", {("gate", "write-all"), ("last", "write-all")}),
        ("env: {}", {("gate", "default"), ("last", "default")}),
    ],
)
def test_permissions_to_write_are_found(new: str, found: set[tuple[str, str]]) -> None:
    assert grants(parse(planted("permissions: {contents: read}", new))) == found
    own = planted("needs: [gate]", "permissions: {issues: write}")
    assert grants(parse(own)) == {("last", "issues")}


def test_no_stranger_runs_code_on_a_machine_of_ours() -> None:
    assert {name: ways for name, workflow in WORKFLOWS.items() if (ways := exposed(workflow))} == {}
    gpu = WORKFLOWS["gpu"]
    assert gpu["on"] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}
    assert [job["runs-on"] for job in jobs(gpu).values()] == [["self-hosted", "gpu"]]


@pytest.mark.parametrize(
    ("old", "new", "ways"),
    [
        ("workflow_dispatch", "workflow_dispatch", []),
        ("workflow_dispatch", "pull_request", ["last: pull_request"]),
        ("workflow_dispatch", "pull_request_target", ["last: pull_request_target"]),
        ("workflow_dispatch", "workflow_run", ["last: workflow_run"]),
        ("{branches: [main]}", "{}", ["last: push to any branch"]),
        ("on: {push: {branches: [main]}, workflow_dispatch: {}}", "on: pull_request", ["last: pull_request"]),
    ],
)
def test_ways_for_strangers_are_found(old: str, new: str, ways: list[str]) -> None:
    assert exposed(parse(planted(old, new))) == ways


@pytest.mark.parametrize("label", ["gpu", "${{ matrix.machine }}", "{group: ours}", "[ubuntu-latest, ours]"])
def test_a_machine_that_is_not_known_as_github_s_counts_as_ours(label: str) -> None:
    text = planted("runs-on: ubuntu-latest", f"runs-on: {label}").replace("workflow_dispatch", "pull_request")
    assert exposed(parse(text)) == ["gate: pull_request", "last: pull_request"]


def test_no_text_is_pasted_into_a_script() -> None:
    assert {name: found for name, workflow in WORKFLOWS.items() if (found := interpolated(workflow))} == {}
    assert interpolated(parse(GOOD)) == []
    assert interpolated(parse(planted("echo end", "echo ${{ github.head_ref }}"))) == ["last"]


def test_hosts_that_the_workflows_name() -> None:
    assert {host for path in FILES.values() for host in hosts(path.read_text(encoding="utf-8"))} == {
        "download.pytorch.org",
        "github.com",
    }


def hosts(text: str) -> set[str]:
    return set(re.findall(r"\w+://([^/\s\"']+)", text))


def test_hosts_are_found() -> None:
    assert hosts('a: "https://one.org/x" http://two.org:80\n b: file://three') == {"one.org", "two.org:80", "three"}


# publishing


def test_nothing_is_published_but_what_ci_has_passed_on_main() -> None:
    pages = WORKFLOWS["pages"]
    assert pages["on"]["workflow_run"] == {
        "workflows": [WORKFLOWS["ci"]["name"]],
        "types": ["completed"],
        "branches": ["main"],
    }
    assert ungated(pages, "green") == []
    condition = jobs(pages)["green"]["if"]
    run = "event_workflow_run_"
    assert opens(condition, **{run + "event": "push", run + "conclusion": "success"})
    assert not opens(condition, **{run + "event": "push", run + "conclusion": "failure"})
    stranger = {run + "event": "pull_request", run + "conclusion": "success"}
    assert not opens(condition, **stranger)
    assert opens(condition.replace(".event == 'push'", ".event != ''"), **stranger)
    assert opens(condition, event_name="workflow_dispatch", ref="refs/heads/main")
    assert not opens(condition, event_name="workflow_dispatch", ref="refs/heads/other")


def test_jobs_before_the_gate_are_found() -> None:
    assert ungated(parse(GOOD), "gate") == []
    assert ungated(parse(planted("needs: [gate]", "env: {}")), "gate") == ["last"]
    assert ungated(parse(planted("needs: [gate]", "needs: gate\n    if: always()")), "gate") == ["last"]
    assert ungated(parse(planted("needs: [gate]", "needs: gate\n    if: github.actor == 'me'")), "gate") == []


def test_what_is_published_is_the_commit_that_passed() -> None:
    pages = WORKFLOWS["pages"]
    assert pages["env"]["COMMIT"] == "${{ github.event.workflow_run.head_sha || github.sha }}"
    assert checkouts(pages) == {("build", "${{ env.COMMIT }}")}
    (stamp,) = [step["run"] for _, step in steps(pages) if "workings.book.colab" in step.get("run", "")]
    assert '--commit "$COMMIT"' in stamp
    assert not [path for path in FILES.values() if "GITHUB_SHA" in path.read_text(encoding="utf-8")]


def checkouts(workflow: Workflow) -> set[tuple[str, str]]:
    """Return which job checks out what; an empty string is what the event is about."""
    found = [(job, step) for job, step in steps(workflow) if step.get("uses", "").startswith("actions/checkout")]
    return {(job, step.get("with", {}).get("ref", "")) for job, step in found}


def test_checkouts_are_found() -> None:
    assert checkouts(parse(GOOD)) == {("gate", "")}
    assert checkouts(parse(planted("checkout@v6", "checkout@v6\n        with: {ref: x}"))) == {("gate", "x")}


# what the workflows run


def unknown_targets(script: str) -> list[str]:
    """Return what a script asks of make that the Makefile does not know."""
    known = {*re.findall(r"^([\w-]+):", MAKEFILE, re.M), *re.findall(r"^READY := (\S+)", MAKEFILE, re.M)}
    return [target for words in commands(script) for target in targets(words) if target not in known]


def targets(words: list[str]) -> list[str]:
    after = words[words.index("make") + 1 :] if "make" in words else []
    return [word for word in after if not word.startswith("-") and "=" not in word]


def misused(script: str) -> list[str]:
    """Return the modules of ours that a script runs and that are not there, or do not take its options."""
    faults = []
    for words in commands(script):
        for module in [word for flag, word in pairwise(words) if flag == "-m"]:
            if module.partition(".")[0] != "workings":
                continue
            try:
                main = importlib.import_module(module).main
            except (ImportError, AttributeError):
                faults.append(module)
                continue
            text = io.StringIO()
            with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
                main(["--help"])
            options = [word for word in words[words.index(module) :] if word.startswith("--")]
            faults += [f"{module} {option}" for option in options if option not in text.getvalue()]
    return faults


def relied_on(workflow: Workflow) -> set[str]:
    """Return the scripts whose failure fails the workflow."""
    return {step["run"].strip() for _, step in steps(workflow) if "run" in step and not step.get("continue-on-error")}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_a_workflow_runs_is_there(name: str) -> None:
    scripts = [step["run"] for _, step in steps(WORKFLOWS[name]) if "run" in step]
    assert [fault for script in scripts for fault in unknown_targets(script)] == []
    assert [fault for script in scripts for fault in misused(script)] == []


def test_what_is_not_there_is_found() -> None:
    assert unknown_targets(f"make {READY}\nmake -k unit book CHAPTER=x  # make it\nmake nothing && make tests") == [
        "nothing",
        "tests",
    ]
    good = 'python -m workings.book.check --device cuda\npython -m pip install x\npython -m workings.book.run "$X"'
    assert misused(good) == []
    bad = "python -m workings.book.nothing\npython -m workings.book.check --gpu\npython -m workings.book.claims"
    assert misused(bad) == ["workings.book.nothing", "workings.book.check --gpu", "workings.book.claims"]


def test_ci_runs_the_commands_of_the_readme() -> None:
    readme = re.findall(r"^(make \w+) +# ", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert "make test" in readme
    assert set(readme) <= relied_on(WORKFLOWS["ci"])
    assert jobs(WORKFLOWS["ci"])["book"]["env"]["CI"] == "true"


def test_a_command_that_may_fail_is_not_relied_on() -> None:
    assert relied_on(parse(GOOD)) == {"make test", "echo end"}
    assert relied_on(parse(planted("make test", "make test\n        continue-on-error: true"))) == {"echo end"}
    assert relied_on(parse(planted("make test", "make test || true"))) == {"make test || true", "echo end"}


# versions


def held_back(workflow: Workflow) -> list[str]:
    """Return what would keep versions at their pins: constraints, or an environment that make would make with them."""
    places = [workflow, *jobs(workflow).values(), *(step for _, step in steps(workflow))]
    faults = [key for place in places for key in place.get("env") or {} if re.search("CONSTRAINT", key)]
    made: set[str] = set()
    for job, step in steps(workflow):
        for words in commands(step.get("run", "")):
            if "pip" in words and any(re.match(r"-c|--constraint|-r|--requirement", word) for word in words):
                faults.append(" ".join(words))
            elif words == ["touch", READY]:
                made.add(job)
            elif targets(words) and job not in made:
                faults.append(" ".join(words))
    return faults


def build(constraints: str) -> str:
    """Return the build of torch that constraints ask for: what follows the plus, or nothing."""
    (pin,) = re.findall(r"^torch==(\S+)$", constraints, re.M)
    return Version(pin).local or ""


def test_the_weekly_run_takes_the_newest_versions() -> None:
    assert held_back(WORKFLOWS["weekly"]) == []
    assert set(WORKFLOWS["weekly"]["on"]) == {"schedule", "workflow_dispatch"}
    asked = {
        target for script in relied_on(WORKFLOWS["weekly"]) for words in commands(script) for target in targets(words)
    }
    assert asked == {"unit", "notebooks", "book"}


def test_pins_are_found() -> None:
    assert held_back(parse(GOOD)) == ["make test"]
    for script in (f"touch {READY} && make test", "pip install '.[test]' pytest", "bash -c 'x'"):
        assert held_back(parse(planted("make test", script))) == []
    for script in ("pip install -c constraints.txt .", "pip install --constraint=x .", "python -m pip install -r x"):
        assert held_back(parse(planted("make test", script))) == [script]
    assert held_back(parse(planted("make test", "pip install .\n        env: {PIP_CONSTRAINT: x}"))) == [
        "PIP_CONSTRAINT"
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize("made", [True, False])
def test_make_takes_an_environment_that_is_made_as_it_is(tmp_path: Path, made: bool) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    if made:
        (tmp_path / READY).parent.mkdir()
        (tmp_path / READY).touch()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "unit", "notebooks", "book", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=True)
    assert "pytest" in done.stdout
    assert ("-c constraints.txt" in done.stdout) is not made


def test_the_pin_of_torch_fits_its_builds_for_cpu_and_cuda() -> None:
    assert build((ROOT / "constraints.txt").read_text(encoding="utf-8")) == ""
    assert build("numpy==2.0\ntorch==2.0.1+cpu\n") == "cpu"


# scripts, run with stand-ins for what they call

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script as GitHub would, in an empty folder and with stand-ins for some commands."""

    def run(script: str, stubs: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
        for name, code in stubs.items():
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/usr/bin/env bash\n{code}\n", encoding="utf-8")
            path.chmod(0o755)
        search = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=tmp_path, env=os.environ | variables | {"PATH": search}, capture_output=True, text=True,
        )  # fmt: skip

    return run


def script_of(workflow: str, part: str) -> str:
    """Return the one script of a workflow with ``part`` in it."""
    (found,) = [step["run"] for _, step in steps(WORKFLOWS[workflow]) if part in step.get("run", "")]
    return str(found)


def test_a_failure_opens_one_issue_and_then_adds_to_it(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (step,) = jobs(WORKFLOWS["weekly"])["report"]["steps"]
    gh = 'echo "$@" >>log; if [ "$1 $2" = "issue list" ]; then echo "$OPEN"; fi'
    names = {"LABEL": step["env"]["LABEL"], "TITLE": step["env"]["TITLE"], "RUN": "https://run/1"}

    def done(script: str, number: str) -> str:
        log.unlink(missing_ok=True)
        assert run(script, {"gh": gh}, OPEN=number, **names).returncode == 0
        *_, last = log.read_text(encoding="utf-8").splitlines()
        assert "https://run/1" in last
        return last

    assert done(step["run"], "7").startswith("issue comment 7 --body With the newest")
    assert done(step["run"], "").startswith(f"issue create --title {names['TITLE']} --label {names['LABEL']} --body")
    assert done(step["run"].replace("[ -n ", "[ -z "), "7").startswith("issue create")


def test_by_hand_nothing_is_published_that_ci_has_not_passed(run: Run) -> None:
    script = script_of("pages", "gh run list")
    gh = '[[ "$*" == *"--commit abc "* && "$*" == *"--status success "* ]] && echo "$COUNT"'
    assert run(script, {"gh": gh}, COMMIT="abc", COUNT="1").returncode == 0
    refused = run(script, {"gh": gh}, COMMIT="abc", COUNT="0")
    assert refused.returncode == 1
    assert "ci has not passed abc" in refused.stdout
    assert run(script, {"gh": gh}, COMMIT="other", COUNT="1").returncode == 1


def test_the_branch_for_colab_is_one_commit_of_the_chapters(run: Run, tmp_path: Path) -> None:
    there, script = tmp_path / "there.git", script_of("pages", "git push")
    git = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{there.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/book",
        "GITHUB_REPOSITORY": "owner/book",
    }
    assert run(f"git init -q --bare {there}", {}).returncode == 0

    def publish(text: str, script: str = script) -> int:
        shutil.rmtree(tmp_path / "colab", ignore_errors=True)
        (tmp_path / "colab/chapters").mkdir(parents=True)
        (tmp_path / f"colab/chapters/{text}.ipynb").write_text(text, encoding="utf-8")
        return run(script, {"gh": "true"}, COMMIT=text, **git).returncode

    def seen(command: str) -> list[str]:
        return run(f"git -C {there} {command}", {}).stdout.splitlines()

    assert publish("first", f'{script}git push "https://github.com/owner/book" colab:main') == 0
    assert publish("second") == 0
    assert seen("log --format=%s colab") == ["The chapters at second, for Colab"]
    assert seen("ls-tree -r --name-only colab") == ["chapters/second.ipynb"]
    assert seen("log --format=%s main") == ["The chapters at first, for Colab"]
    assert publish("third", script.replace("--force ", "")) != 0


def test_without_a_cuda_device_the_gpu_workflow_stops(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    script = script_of("gpu", "is_available")
    stopped = run(script, {"nvidia-smi": "echo a card"}, CUDA_VISIBLE_DEVICES="")
    assert stopped.returncode == 1
    assert "sees no CUDA device" in stopped.stderr
    assert "a card\ntorch " in stopped.stdout
    for job, step in steps(WORKFLOWS["gpu"]):
        if step.get("if"):
            assert "steps.card.outcome == 'success'" in step["if"], f"{job}: goes on without a card"

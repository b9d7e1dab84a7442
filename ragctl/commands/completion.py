"""`rag completion`: the completion script of a shell; `rag open`: a page of the stack in the browser."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ragctl.output import Json, emit, emit_json, note, say

Shell = Literal["bash", "zsh", "fish"]


def completion(
    shell: Shell, /, *, install: Annotated[bool, Parameter(negative="")] = False, json: Json = False
) -> None:
    """Print the completion script of a shell, or install it for this user.

    Example: rag completion bash --install

    Parameters
    ----------
    shell
        bash, zsh or fish.
    install
        Write the script to the place where the shell looks for it, and add the line that loads it to the shell's
        start file where it needs one.
    """
    from ragctl.app import app

    if install:
        place = str(app.install_completion(shell=shell, add_to_startup=True))
        emit({"shell": shell, "installed": place}, f"installed in {place}; it is there in the next shell", json=json)
        return
    script = app.generate_completion(prog_name="rag", shell=shell)
    if json:
        emit_json({"shell": shell, "script": script})
    else:
        print(script)


def open_(page: Literal["console", "dagster"], /, *, json: Json = False) -> None:
    """Open the console or the Dagster UI in the browser.

    Example: rag open console

    Parameters
    ----------
    page
        console or dagster.
    """
    import webbrowser

    from rag_core.settings import Settings
    from ragctl.local_stack.next_steps import urls

    addresses = urls(Settings.load())
    url = addresses["Console" if page == "console" else "Dagster UI"]
    opened = webbrowser.open(url)
    if json:
        emit_json({"url": url, "opened": opened})
        return
    say(url)
    if not opened:
        note("no browser could be started here: open this address yourself")

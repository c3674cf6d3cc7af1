"""Who we say we are to a pprof endpoint that asks.

Law: a secret comes from the environment or a prompt, never from the command line, and is in no message.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from leaktui.engines.pprof_endpoint import Credentials
from leaktui.errors import UsageError
from leaktui.text import printable

__all__ = ["Credentials", "read_credentials"]

USER_VARIABLE = "LEAKTUI_PPROF_USER"
PASSWORD_VARIABLE = "LEAKTUI_PPROF_PASSWORD"
TOKEN_VARIABLE = "LEAKTUI_PPROF_TOKEN"


def read_credentials(options: argparse.Namespace, *, whom: str = "pprof") -> Credentials:
    """What to show a pprof endpoint (or *whom*) that asks; from the options, the environment, or a prompt.

    Raises UsageError when a variable named on the command line is not set, or nobody can be asked.
    """
    environment = os.environ
    if options.token_env is not None:
        if options.user is not None:
            raise UsageError("--user and --token-env exclude each other", remedy="give only one of them")
        token = environment.get(options.token_env, "")
        if not token:
            # The name is not repeated: who confuses the two gives the token itself.
            raise UsageError(
                "the variable that --token-env names is empty or not set",
                remedy="export it first; the option takes the variable's name, not the token",
            )
        return Credentials(token=token)
    if options.user is not None:
        return Credentials(user=options.user, password=_read_password(options.user, whom))
    return Credentials(
        user=environment.get(USER_VARIABLE, ""),
        password=environment.get(PASSWORD_VARIABLE, ""),
        token=environment.get(TOKEN_VARIABLE, ""),
    )


def _read_password(user: str, whom: str) -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is not None:
        return password
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"nobody is there to be asked for the password of {printable(user, 80)}",
            remedy=f"put it into {PASSWORD_VARIABLE}",
        )
    try:
        return getpass.getpass(f"{whom} password of {printable(user, 80)}: ")
    except EOFError:
        raise UsageError("no password was given", remedy="try again") from None

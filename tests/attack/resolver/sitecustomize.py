"""Python runs this at the start of every process of the attacked service: its resolver then believes the attacker.

Names under `.rebind.test` are looked up in the folder `ATTACK_NAMES` (see `tests.attack.names`), all others as ever.
The product stays as it is. What changes is the machine's name server, of which an attacker owns a part, and the event
loop: uvloop resolves names below Python, where nobody could put other answers in.
"""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import uvloop

FOLDER = Path(os.environ.get("ATTACK_NAMES", os.devnull))
ZONE = ".rebind.test"
as_ever = socket.getaddrinfo


def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if not name.endswith(ZONE):
        return as_ever(host, port, *arguments, **options)
    answers = (FOLDER / name).read_text().splitlines()
    with (FOLDER / f"{name}.asked").open("ab") as asked:
        asked.write(b".")
        asked.flush()
        turn = min(asked.tell(), len(answers)) - 1
    return [found for address in answers[turn].split() for found in as_ever(address, port, *arguments, **options)]


socket.getaddrinfo = getaddrinfo
uvloop.run = asyncio.run

"""Whether the staff pages answer at the address that others in the network use."""

from __future__ import annotations

import fcntl
import http.client
import re
import socket
import struct
from contextlib import closing

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.doctor.units import WEB_SOCKET, is_installed
from recorderd.web.address import address_of

_SIOCGIFADDR = 0x8915
"""netdevice(7); the number is that of linux/sockios.h."""

_ANSWER_SECONDS = 3.0


class StaffPagesCheck:
    name = "staff pages"
    limit_seconds = 10.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        web = examination.settings.web
        port = _port_of_unit(examination) or web.port
        addresses = [web.address] if web.address else lan_addresses()
        host = socket.gethostname()
        if not addresses:
            return warning(
                "this computer has no address in a network: nobody else can see the pages",
                "Connect the network cable, or set up the wireless network",
            )
        shown = [address_of(address, port, web.path_prefix) for address in addresses]
        facts = (("address", " or ".join(shown)), ("name", address_of(f"{host}.local", port, "")))
        for address in addresses:
            answer = _answer(address, port)
            if answer is None:
                say = bad if examination.status is not None else warning
                return say(
                    f"nobody answers at {address_of(address, port, web.path_prefix)}",
                    f"Start them with: sudo systemctl start {WEB_SOCKET} "
                    "(for a try-out: recorderd web)"
                    if is_installed(examination.machine.unit(WEB_SOCKET))
                    else "Start them with: recorderd web",
                    *facts,
                )
            if answer >= http.client.INTERNAL_SERVER_ERROR:
                return bad(
                    f"{address_of(address, port, web.path_prefix)} answers with error {answer}",
                    "See why with: journalctl -u recorderd-web -e",
                    *facts,
                )
            if answer == http.client.FORBIDDEN:
                return warning(
                    f"{address_of(address, port, web.path_prefix)} refuses this network",
                    "Add the network of the office to web.allowed_networks",
                    *facts,
                )
        return good(f"{' and '.join(shown)} answer" + ("s" if len(shown) == 1 else ""), *facts)


def lan_addresses() -> list[str]:
    """This computer's IPv4 addresses, but the loopback's."""
    found = []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("16sH14s", name.encode()[:15], socket.AF_INET, b"")
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, request.ljust(40, b"\0"))
            except OSError:
                continue  # It has none.
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith("127."):
                found.append(address)
    return found


def _port_of_unit(examination: Examination) -> int | None:
    """The port that systemd listens on in the pages' stead."""
    unit = examination.machine.unit(WEB_SOCKET) or {}
    if unit.get("ActiveState") != "active":
        return None
    listens = re.search(r"(\d+) \(Stream\)", unit.get("Listen", ""))
    return int(listens[1]) if listens else None


def _answer(address: str, port: int) -> int | None:
    """The HTTP status of /healthz; None if nobody listens."""
    connection = http.client.HTTPConnection(address, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

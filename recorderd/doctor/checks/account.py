"""Whether the service's user may use the devices, and this one may look at everything."""

from __future__ import annotations

import grp
import os
import pwd

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.settings import Settings

SERVICE_USER = "recorderd"


class AccountCheck:
    name = "account"
    limit_seconds = 3.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        settings = examination.settings
        wanted = groups_needed(settings)
        ours = pwd.getpwuid(os.geteuid()).pw_name
        try:
            service = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            missing = [] if os.geteuid() == 0 else _missing(wanted, set(os.getgroups()))
            if missing:
                return bad(
                    f"the user {ours} is not in {_named(missing)}: it may not use all devices",
                    f"sudo usermod -aG {','.join(missing)} {ours}, then log in again; or use sudo",
                )
            return good(f"{ours}; there is no user {SERVICE_USER}, so no service is installed")
        groups = set(os.getgrouplist(SERVICE_USER, service.pw_gid))
        missing = _missing(wanted, groups)
        if missing:
            return bad(
                f"the service's user {SERVICE_USER} is not in {_named(missing)}: "
                "it may not use all devices",
                f"sudo usermod -aG {','.join(missing)} {SERVICE_USER}, "
                "then: sudo systemctl restart recorderd",
            )
        if os.geteuid() not in (0, service.pw_uid):
            return warning(
                f"you are {ours}: not everything can be seen",
                "Run it with sudo: sudo recorderd doctor",
            )
        return good(f"the user {SERVICE_USER} may use " + (", ".join(wanted) or "what it needs"))


def groups_needed(settings: Settings) -> list[str]:
    """The groups that own the devices these settings name, where such groups exist."""
    needed = []
    if settings.camera.source.startswith(("v4l2:", "command:")):
        needed.append("video")
    if settings.panel.driver == "gpio":
        needed.append("gpio")
    if settings.panel.usb_pedal or settings.panel.usb_scanner:
        needed.append("input")
    return [name for name in needed if _exists(name)]


def _exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def _missing(wanted: list[str], groups: set[int]) -> list[str]:
    return [name for name in wanted if grp.getgrnam(name).gr_gid not in groups]


def _named(groups: list[str]) -> str:
    return f"the group{'s' if len(groups) > 1 else ''} {' and '.join(groups)}"

"""Which settings are in force. Mistakes in them have ended the command before."""

from __future__ import annotations

from recorderd.config import DEFAULT_CONFIG_FILE
from recorderd.doctor.check import Finding, good, warning
from recorderd.doctor.examination import Examination


class SettingsCheck:
    name = "settings"
    limit_seconds = 3.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        loaded = examination.loaded
        changed = [entry for entry in loaded.effective if entry.origin != "default"]
        facts = tuple((f"{entry.section}.{entry.key}", entry.shown) for entry in changed)
        if loaded.file is None:
            return warning(
                "there is no settings file: every setting has its default",
                f"Copy config/recorderd.toml to {DEFAULT_CONFIG_FILE} and change what is different",
                *facts,
            )
        count = f"{len(changed)} of {len(loaded.effective)} differ from the defaults"
        return good(f"{loaded.file}: no mistake, {count}", *facts)

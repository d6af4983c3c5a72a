"""Whether videos are hashed, encoded and cleared away in the background."""

from __future__ import annotations

from recorderd.doctor.check import Finding, bad, good, skipped, warning
from recorderd.doctor.examination import Examination
from recorderd.status import finisher_now, work_in_words


class HelpersCheck:
    name = "background"
    limit_seconds = 3.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        document = finisher_now(examination.settings)
        if document is None:
            if examination.status is None:
                return skipped("it does not run, as the station does not")
            return warning(
                "it does not run: videos are not sealed, encoded or cleared away",
                "sudo systemctl start recorderd-finisher (for a try-out: recorderd finish)",
            )
        if document.get("hindrance"):
            return bad(str(document["hindrance"]), "See what it needs with: recorderd status")
        if document.get("failing"):
            return warning(
                f"{document['failing']} jobs have failed and are tried again",
                "recorderd status names the last one and what to do",
            )
        return good(work_in_words(document) or "nothing waits to be done")

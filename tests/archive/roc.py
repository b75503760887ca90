"""What `roc-validator` finds against a crate; the one document that it wants from the web is given to it.

python tests/archive/roc.py CONTEXT CRATE PROFILE...     prints a line for each requirement that is not met
"""

import sys
from pathlib import Path

from requests import Response
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "https://w3id.org/ro/crate/1.2/context"


def main(context: str, crate: str, *profiles: str) -> None:
    def answer(_, url, *__, **___) -> Response:
        found = Response()
        found.url, found.headers["Content-Type"] = url, "application/ld+json"
        found.status_code = 200 if url == CONTEXT else 404
        found._content = Path(context).read_bytes() if url == CONTEXT else b""
        return found

    HttpRequester.get = HttpRequester.head = answer
    checked = 0
    for profile in profiles:
        found = services.validate(
            services.ValidationSettings(
                rocrate_uri=crate,
                profile_identifier=profile,
                requirement_severity=models.Severity.REQUIRED,
                # the validator's Process Run Crate is built on RO-Crate 1.1 and refuses 1.2 for being another
                disable_inherited_profiles_issue_reporting=profile.startswith("process-run"),
            )
        )
        checked += len(found.executed_checks)
        for issue in found.get_issues():
            print(f"{profile}: {issue.check.identifier}: {issue.message}")
    print(f"checked: {checked}")


if __name__ == "__main__":
    main(*sys.argv[1:])

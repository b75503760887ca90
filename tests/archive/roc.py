"""What `roc-validator` finds against crates; the one document that it wants from the web is given to it.

python tests/archive/roc.py CONTEXT CRATE PROFILE[,PROFILE...] [CRATE PROFILE[,PROFILE...] ...]

Prints for each crate a line of JSON: the number of checks, and the requirements that are not met.
"""

import json
import sys
from pathlib import Path

from requests import Response
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

CONTEXT = "https://w3id.org/ro/crate/1.2/context"


def main(context: str, *pairs: str) -> None:
    def answer(_, url, *__, **___) -> Response:
        found = Response()
        found.url, found.headers["Content-Type"] = url, "application/ld+json"
        found.status_code = 200 if url == CONTEXT else 404
        found._content = Path(context).read_bytes() if url == CONTEXT else b""
        return found

    HttpRequester.get = HttpRequester.head = answer
    for crate, profiles in zip(pairs[::2], pairs[1::2], strict=True):
        print(json.dumps(issues(crate, profiles.split(","))))


def issues(crate: str, profiles: list[str]) -> tuple[int, list[str]]:
    checked, unmet = 0, []
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
        unmet += [f"{profile}: {issue.check.identifier}: {issue.message}" for issue in found.get_issues()]
    return checked, unmet


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Parts of the systems in the tests of verdicts: the service as a process and in a container."""

import os

import pytest

from tests.truth.conftest import IMAGE, service

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="namespaces need root")
NEW = {"connection": "new"}


def process(*words, **more):
    return {"kind": "process", "app": {"command": service(*words)}, **more}


def container(*words, publish="container", **limits):
    """The service in an image that is built on the substitute for python."""
    command = words or ("python", "/quick.py", "{port}")
    return {
        "kind": "docker",
        "app": {"build": str(IMAGE), "port": 8080, "command": [*command], **limits},
        "publish": publish,
    }


def service_in_a_container(*words, **limits):
    return container("python", "/service.py", "--host", "0.0.0.0", "--port", "{port}", *words, **limits)


def marked(value, *, more):
    return pytest.param(value, marks=[pytest.mark.only_truth] if more else [])

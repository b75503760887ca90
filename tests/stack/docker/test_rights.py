"""A container's rights: those of `docker run`, or none with `app.hardened`."""

import json

import httpx
import pytest
from pydantic import ValidationError

from runner.experiment.model import ProcessTopology
from runner.stack.docker import open_docker
from tests.stack.docker.conftest import topology

pytestmark = pytest.mark.docker

DOCKERFILE = """
ARG BASE=python:3.12-slim
FROM ${BASE}
COPY app.py /app.py
CMD ["python", "-u", "/app.py"]
"""

APP = """
import http.server, json, os, shutil, struct, subprocess, sys

def as_nobody(program, code):
    drop = "import os, sys; os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", drop, program, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

def attempt(action):
    try:
        return action()
    except OSError as error:
        return error.strerror

def chown():
    open("/owned", "w").close()
    os.chown("/owned", 1234, 1234)
    return os.stat("/owned").st_uid

def setuid():
    shutil.copy(os.path.realpath(sys.executable), "/setuid-python")
    os.chmod("/setuid-python", 0o4755)
    return as_nobody("/setuid-python", "import os; print(os.geteuid())")

def setcap():
    shutil.copy(os.path.realpath(sys.executable), "/setcap-python")
    os.chmod("/setcap-python", 0o755)
    os.setxattr("/setcap-python", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    code = "print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    return as_nobody("/setcap-python", code)

def write():
    open("/etc/written", "w").close()
    return "written"

rights = {f.__name__: attempt(f) for f in (chown, setuid, setcap, write)}
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
rights["bounding"], rights["no_new_privs"] = status["CapBnd"].strip(), status["NoNewPrivs"].strip()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(rights).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


async def rights_of(context, folder, **app):
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "app.py").write_text(APP)
    spec = topology(app={"build": str(folder), **app})
    async with open_docker(spec, context) as stack, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://{stack.endpoint.host}:{stack.endpoint.port}/")
    return json.loads(response.text)


async def test_by_default_a_container_has_the_rights_that_docker_run_gives(api, context, left_over, tmp_path):
    rights = await rights_of(context, tmp_path)

    assert rights == {
        "chown": 1234,
        "setuid": "0",
        "setcap": "0000000000000400",
        "write": "written",
        "bounding": await bounding_set_of_docker_run(api),
        "no_new_privs": "0",
    }


async def bounding_set_of_docker_run(api):
    """Return what a container has that is created with the engine's defaults."""
    code = "print(open('/proc/self/status').read().split('CapBnd:')[1].split()[0])"
    container = api.create_container("loadproof-base/python:bookworm", ["python", "-c", code])["Id"]
    try:
        api.start(container)
        api.wait(container)
        return api.logs(container).decode().strip()
    finally:
        api.remove_container(container, force=True)


async def test_a_hardened_container_has_no_rights_but_its_files(context, left_over, tmp_path):
    rights = await rights_of(context, tmp_path, hardened=True)

    assert rights["chown"] == "Operation not permitted"
    assert rights["setcap"] == "Operation not permitted"
    assert rights["setuid"] != "0"
    assert rights["write"] == "written"
    assert int(rights["bounding"], 16) == 0
    assert rights["no_new_privs"] == "1"


def test_hardening_is_refused_for_a_process():
    app = {"command": ["serve", "{port}"], "hardened": True}

    with pytest.raises(ValidationError, match="hardened requires kind docker"):
        ProcessTopology.model_validate({"kind": "process", "app": app})

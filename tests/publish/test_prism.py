"""An independent peer between us and the fake: Prism judges both by GitHub's own description."""

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.publish.test_sticky_comment import MARKER, TEXT, post, target_of

from runner.publish.providers import open_forge, open_wire
from tests.publish.fake import TOKEN, provider
from tests.publish.node_tools import node_tools

pytestmark = pytest.mark.prism
DESCRIPTION = Path(__file__).parent / "openapi" / "github.json"


@contextmanager
def prism(*arguments, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        node_tools() / "node_modules" / ".bin" / "prism",
        *arguments,
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    log = tmp_path / "prism.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            if "Prism is listening" in log.read_text():
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_the_whole_life_of_a_comment_passes_through_it_without_a_violation(tmp_path):
    with provider() as fake, prism("proxy", "--errors", DESCRIPTION, fake.url, tmp_path=tmp_path) as url:
        for number in range(2):
            fake.write("ci-bot", f"{MARKER}\nold {number}")
        assert post(fake, api=url) == "updated"
        assert post(fake, api=url) == "unchanged"
        fake.comments.clear()
        assert post(fake, api=url) == "created"

        assert {"GET", "POST", "PATCH", "DELETE"} == set(fake.methods())
        assert fake.bodies() == [TEXT]


def test_it_refuses_what_the_description_does_not_have(tmp_path):
    with provider() as fake, prism("proxy", "--errors", DESCRIPTION, fake.url, tmp_path=tmp_path) as url:
        address = f"{url}/repos/octo/shop/issues/7/comments"
        answer = httpx.post(address, json={"text": "no body"}, headers={"Authorization": f"Bearer {TOKEN}"})

        assert answer.status_code == 422
        assert "body" in json.dumps(answer.json())
        assert fake.comments == {}


def test_answers_that_it_makes_up_itself_are_understood(tmp_path):
    with prism("mock", DESCRIPTION, tmp_path=tmp_path) as url, provider() as fake:
        target = target_of(fake, api=url)
        wire = open_wire(target)
        with wire.client:
            forge = open_forge(target, wire)
            assert forge.author() == "octocat"
            created = forge.create(TEXT)
            assert (created.author, created.body) == ("octocat", "Me too")
            assert forge.update(created, TEXT)
            forge.delete(created)

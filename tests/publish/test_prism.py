"""An independent peer between us and the fake: Prism judges both by GitHub's own description."""

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from runner.publish.providers import open_client, open_thread
from tests.publish.fake import TOKEN, provider
from tests.publish.node_tools import node_tools
from tests.publish.test_sticky_comment import MARKER, TEXT, post, target_of

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


def test_creating_updating_and_deleting_a_comment_violates_no_rule(tmp_path):
    with provider() as fake, prism("proxy", "--errors", DESCRIPTION, fake.url, tmp_path=tmp_path) as url:
        for number in range(2):
            fake.write("ci-bot", f"{MARKER}\nold {number}")
        assert post(fake, api=url) == "updated"
        assert post(fake, api=url) == "unchanged"
        fake.comments.clear()
        assert post(fake, api=url) == "created"

        assert {"GET", "POST", "PATCH", "DELETE"} == set(fake.methods())
        assert fake.bodies() == [TEXT]


def test_it_refuses_a_request_that_the_description_lacks(tmp_path):
    with provider() as fake, prism("proxy", "--errors", DESCRIPTION, fake.url, tmp_path=tmp_path) as url:
        address = f"{url}/repos/octo/shop/issues/7/comments"
        answer = httpx.post(address, json={"text": "no body"}, headers={"Authorization": f"Bearer {TOKEN}"})

        assert answer.status_code == 422
        assert "body" in json.dumps(answer.json())
        assert fake.comments == {}


def test_responses_that_it_generates_are_understood(tmp_path):
    with prism("mock", DESCRIPTION, tmp_path=tmp_path) as url, provider() as fake:
        target = target_of(fake, api=url)
        client = open_client(target)
        with client.http:
            thread = open_thread(target, client)
            assert thread.author() == "octocat"
            created = thread.create(TEXT)
            assert (created.author, created.body) == ("octocat", "Me too")
            assert thread.update(created, TEXT)
            thread.delete(created)

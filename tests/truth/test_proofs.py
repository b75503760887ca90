"""Overloaded systems of containers whose verdict is tested: what lifts a limit proves it, nothing else does.

`make truth` runs them; each takes a minute.
"""

import json
from dataclasses import dataclass

import pytest

from tests.truth.conftest import IMAGE, Case, start

pytestmark = [
    pytest.mark.docker,
    pytest.mark.nginx,
    pytest.mark.verdict,
    pytest.mark.only_truth,
]
BUSY = "EVAL for\ti=1,900000\tdo\tend\treturn\t1 0"
SLOW = "BLPOP nothing 0.05"
STRANGER = "while :; do :; done & exec "
"""Uses CPU beside a program, in the same container."""


@dataclass(frozen=True)
class Proof(Case):
    """A case whose verdict is tested.

    Attributes:
        change: What is tried first.
        answers: The answers that are right.
        confidence: What remains of the verdict.
    """

    change: str = ""
    answers: tuple[str, ...] = ()
    confidence: str = "proven"

    def configuration(self, name):
        return super().configuration(name) | {"prove": True}


def containers(*command, **more):
    settings = {key: more.pop(key) for key in ("cpus", "env") if key in more}
    app = {"build": str(IMAGE), "port": 8080, "command": [str(word) for word in command], **settings}
    return {"kind": "docker", "publish": "container", "app": {"health": "/healthz", **app}, **more}


def own(*words, before="exec ", **more):
    """The service of these tests, with a limit of its own."""
    script = f"{before} python /service.py --host 0.0.0.0 --port 8080 {' '.join(words)}"
    return containers("sh", "-c", script, **more)


def cached(pool, command, before="exec ", **limits):
    """A service with a pool of connections to Redis."""
    script = f"{before} docker-entrypoint.sh redis-server --save ''"
    cache = {"image": "redis:7", "port": 6379, "command": ["sh", "-c", script], **limits}
    words = ["python", "/backed.py", "8080", "${cache.host}", "${cache.port}", command]
    return containers(*words, env={"POOL_SIZE": pool}, services={"cache": cache})


NGINX = {"proxy": {"kind": "nginx", "workers": 1, "keepalive": 64}}
SLOTS = ("--slots", "2", "--slot-ms", "50")
PROOFS = {
    "the CPU limit of a cache": Proof(
        "service-limited", cached(10, BUSY, cpus=0.3), 200, service="cache",
        change="service-cpus.cache", answers=("confirmed",),
    ),
    "a CPU limit that only a stranger in the cache's container meets": Proof(
        "undetermined", cached(3, SLOW, STRANGER, cpus=0.9), 110, also=("pool-limited",),
        change="service-cpus.cache", answers=("refuted", "no effect"), confidence="hint",
    ),
    "the CPU limit of an app": Proof(
        "app-quota-throttled", own("--burn-us", "4000", cpus=0.3), 130,
        change="cpu-limit", answers=("confirmed",),
    ),
    "a CPU limit that only a stranger in the app's container meets": Proof(
        "undetermined", own(*SLOTS, before=STRANGER, cpus=0.9), 80, also=("app-concurrency-limited",),
        change="cpu-limit", answers=("refuted", "no effect"), confidence="hint",
    ),
    "slots of each replica": Proof(
        "app-concurrency-limited", own(*SLOTS, replicas=2, **NGINX), 120,
        change="replica", answers=("confirmed",),
    ),
    "a pool": Proof(
        "pool-limited", cached(5, SLOW), 150, service="cache", change="pool", answers=("confirmed",)
    ),
    "a lock behind a pool": Proof(
        "undetermined", cached(5, "LOCK"), 100, change="pool", answers=("refuted",), confidence="hint"
    ),
    "a lock that all replicas share": Proof(
        "app-concurrency-limited", cached(100, "LOCK") | {"replicas": 2} | NGINX, 100, {"max_in_flight": 50},
        change="pool", answers=("no effect",), confidence="likely",
    ),
}  # fmt: skip


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS)
def test_a_counter_experiment(tmp_path, proof):
    process = start(tmp_path, [proof])
    try:
        out, _ = process.communicate(timeout=280)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    (configuration,) = json.loads(out)["configurations"]
    verdict = configuration["stages"][0]["verdict"]
    tested = verdict["counter_experiment"]
    assert proof.is_right(verdict), verdict["findings"]
    assert tested["change"] == proof.change, tested["sentence"]
    assert tested["answer"] in proof.answers, tested["sentence"]
    assert verdict["confidence"] == proof.confidence

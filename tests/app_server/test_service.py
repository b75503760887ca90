"""The service as a real process, over real sockets."""

import signal
import socket
import subprocess
import sys
import time
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.app_server.conftest import run, serving


def test_a_session_has_an_id_timestamps_and_a_payload(service):
    response = service.get("/session")

    session = response.json()
    created, expires = (datetime.fromisoformat(session[key]) for key in ("created_at", "expires_at"))
    assert response.status_code == 200
    assert len(session["id"]) == 32
    assert (expires - created).total_seconds() == 30 * 60
    assert session["payload"]["user"]["name"] == "guest"


def test_every_session_is_a_new_one_and_is_kept(service):
    first, second = service.get("/session").json(), service.get("/session").json()

    assert first["id"] != second["id"]
    assert service.get(f"/session/{first['id']}").json() == first


def test_an_unknown_session_is_not_found(service):
    assert service.get("/session/none").status_code == 404


def test_the_oldest_session_is_dropped():
    with serving("--sessions", "2") as service:
        ids = [service.get("/session").json()["id"] for _ in range(3)]

        assert [service.get(f"/session/{token}").status_code for token in ids] == [404, 200, 200]
        assert service.metric("app_sessions") == 2


def test_the_health_page_responds(service):
    assert (service.get("/healthz").status_code, service.get("/healthz").text) == (200, "ok\n")


def test_requests_are_counted_by_path_and_status(service):
    counter = 'app_requests_total{path="/session",status="200"}'
    before = service.metric(counter)

    for _ in range(7):
        service.get("/session")

    assert service.metric(counter) == before + 7
    assert service.metric("app_requests_in_flight") == 1  # the scrape itself


def test_unknown_paths_do_not_make_new_metrics(service):
    for path in ("/a", "/b", "/session/x", "/session/y"):
        service.get(path)

    assert service.metric('app_requests_total{path="other",status="404"}') == 2
    assert service.metric('app_requests_total{path="/session/{id}",status="404"}') >= 2


def test_metrics_are_prometheus_text_with_all_families(service):
    text = service.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert {
        "app_requests",
        "app_requests_in_flight",
        "app_gc_collections",
        "app_gc_pause_seconds",
        "app_event_loop_lag_seconds",
        "process_cpu_seconds",
        "process_resident_memory_bytes",
    } <= families.keys()
    assert families["process_resident_memory_bytes"].samples[0].value > 1_000_000


def test_work_is_cpu_time_per_session():
    with serving(APP_WORK_US="10000") as service:
        before = service.metric("process_cpu_seconds_total")
        for _ in range(50):
            service.get("/session")
        used = service.metric("process_cpu_seconds_total") - before

    assert 0.49 <= used < 0.75


def test_garbage_is_created_and_collected():
    with serving("--alloc-kb", "1000") as service:
        for _ in range(30):
            service.get("/session")

        assert service.metric('app_gc_collections_total{generation="0"}') >= 30
        assert service.metric('app_gc_pause_seconds_total{generation="0"}') > 0
        assert service.metric("process_resident_memory_bytes") < 150_000_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_ends_it_though_connections_stay_open(number):
    with serving() as service:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        with socket.create_connection(address), socket.create_connection(address) as halfway:
            halfway.sendall(b"GET /session HTTP/1.1\r\nHo")
            service.get("/healthz")

            service.process.send_signal(number)

            expected = 0 if number is signal.SIGTERM else 130
            assert service.process.wait(timeout=30) == expected
            assert service.process.stderr.read() == ""


def test_a_client_that_does_not_read_cannot_prevent_the_shutdown():
    with serving() as service:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        with socket.create_connection(address) as deaf:
            deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4000)  # responses of 11 MB
            while service.metric("app_requests_in_flight") < 2:
                time.sleep(0.02)

            service.process.send_signal(signal.SIGTERM)

            assert service.process.wait(timeout=30) == 0
            assert "Traceback" not in service.process.stderr.read()


def test_sigterm_ends_it_before_it_serves():
    process = subprocess.Popen([sys.executable, "-m", "app_server", "--port", "0"], stderr=subprocess.PIPE)
    with process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) in {0, -signal.SIGTERM}
        assert b"Traceback" not in process.stderr.read()


def test_a_port_in_use_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = run("--port", str(port))

    assert done.returncode == 3
    assert done.stderr == f"app-server: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_an_unknown_host_is_one_clear_line():
    done = run("--host", "no-such-host.invalid")

    assert done.returncode == 3
    assert done.stderr.startswith("app-server: cannot listen on no-such-host.invalid port 8080: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("package", ["uvloop", "starlette", "prometheus_client"])
def test_a_missing_package_names_the_extra(package):
    code = f"import sys; sys.modules[{package!r}] = None; from app_server.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "--port", "0"], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 3
    assert "pip install 'loadproof[app]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_listens_on_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 on this machine")

    with serving("--host", "::1") as service:
        assert service.url.startswith("http://[::1]:")
        assert service.get("/healthz").status_code == 200

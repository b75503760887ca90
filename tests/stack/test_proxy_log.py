from runner.stack.proxy_log import error_messages

LINES = (
    '172.18.0.1 - - [30/Nov/2026:17:00:00 +0000] "GET / HTTP/1.1" 200 2',
    "2026/11/30 17:00:00 [alert] 29#29: 64 worker_connections are not enough",
    '2026/11/30 17:00:01 [error] 29#29: *812 limiting requests, excess: 5.2 by zone "a", client: 10.0.0.7',
    "2026/11/30 17:00:02 [alert] 30#30: 64 worker_connections are not enough",
    "2026/11/30 17:00:02 [notice] 1#1: signal 1 (SIGHUP) received",
)


def test_the_last_different_errors_are_kept_without_what_is_about_one_request():
    limiting = 'limiting requests, excess: 5.2 by zone "a"'

    assert error_messages(LINES) == (limiting, "64 worker_connections are not enough")
    assert error_messages(LINES[:1] + LINES[-1:]) == ()


def test_messages_are_few_and_short():
    many = [f"2026/11/30 17:00:00 [error] 1#1: {number} {'x' * 5000}" for number in range(50)]

    found = error_messages(many)

    assert len(found) == 5
    assert found[-1].startswith("49 ")
    assert max(map(len, found)) <= 200

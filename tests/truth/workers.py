"""A WSGI service whose synchronous workers have one connection to PostgreSQL each, as in Django.

DATABASE_URL=URL STATEMENT="SELECT 1" gunicorn --workers 4 workers:application

Without a DATABASE_URL each request uses BURN_MS of CPU instead.
"""

import os
import time

import psycopg

connection = None


def application(environ, start_response):
    global connection  # noqa: PLW0603  (one connection for the process: gunicorn's workers are forks)
    if environ["PATH_INFO"] != "/healthz" and (burn_ms := os.environ.get("BURN_MS")):
        until = time.thread_time() + int(burn_ms) / 1000
        while time.thread_time() < until:
            pass
    elif environ["PATH_INFO"] != "/healthz":
        connection = connection or psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        connection.execute(os.environ["STATEMENT"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

"""Entry points of stand-ins for images of services: they do what those of the original images do.

A compose file gives such an image options, variables and initial files, and expects them to be used.
"""

from __future__ import annotations

from typing import Final

REDIS: Final = """\
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ]; then
    set -- "$@" --protected-mode no
    if [ "$(id -u)" = 0 ]; then
        chown redis:redis /data
        exec setpriv --reuid=redis --regid=redis --init-groups -- "$@"
    fi
fi
exec "$@"
"""

POSTGRES: Final = """\
#!/bin/bash
set -eu
if [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres} password=${POSTGRES_PASSWORD:-}
    database=${POSTGRES_DB:-$user} method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "POSTGRES_PASSWORD is not set" >&2
        exit 1
    fi
    initdb --username="$user" --auth=trust >/dev/null
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    printf 'local all all trust\\nhost all all 127.0.0.1/32 trust\\nhost all all all %s\\n' "$method" \
        >"$PGDATA/pg_hba.conf"
    pg_ctl --silent --wait --options="-c listen_addresses=''" start >/dev/null
    run() { psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$user" "$@"; }
    if [ "$database" != postgres ]; then createdb --username="$user" "$database"; fi
    if [ -n "$password" ]; then
        echo "ALTER USER :\\"user\\" PASSWORD :'password'" \
            | run --dbname=postgres --set=user="$user" --set=password="$password"
    fi
    export PGUSER=$user PGDATABASE=$database
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) bash "$file" ;;
            *.sql) run --dbname="$database" --file="$file" ;;
            *.sql.gz) gunzip --stdout "$file" | run --dbname="$database" ;;
        esac
    done
    unset PGUSER PGDATABASE
    pg_ctl --silent --wait --mode=fast stop >/dev/null
fi
exec "$@"
"""

NGINX_DEFAULT: Final = """\
server {
    listen 80;
    location / { root /usr/share/nginx/html; index index.html; }
}
"""

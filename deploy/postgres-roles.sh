#!/bin/sh
# Runs once, when the postgres container fills an empty data folder: the two roles that serve get logins of their own.
# The first migration finds them and grants what each may do.
set -eu
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\set app_password `cat "${SECRETS:-/run/secrets}/app_password"`
\set worker_password `cat "${SECRETS:-/run/secrets}/worker_password"`
CREATE ROLE arqueduct_app LOGIN PASSWORD :'app_password';
CREATE ROLE arqueduct_worker LOGIN PASSWORD :'worker_password';
SQL

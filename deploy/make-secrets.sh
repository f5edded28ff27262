#!/bin/sh
# Makes the secrets of compose.yaml, once: sh deploy/make-secrets.sh [FOLDER, ./secrets by default]
#
# The folder is yours alone (0700). The files in it can be read by anyone who gets there (0444): compose mounts each
# as it is into containers whose users are not yours, and cannot change owner or mode of a file on the way.
set -eu
folder=${1:-secrets}

if [ -e "$folder/postgres_password" ]; then
    echo "$folder has secrets already; the database knows them, so they stay." >&2
    exit 1
fi

umask 077
mkdir -p "$folder"
chmod 0700 "$folder"

# 32 random bytes as hexadecimal: nothing in it needs escaping in a URL, a configuration file or SQL.
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { printf '%s\n' "$2" >"$folder/$1.new" && chmod 0444 "$folder/$1.new" && mv "$folder/$1.new" "$folder/$1"; }

owner=$(random) app=$(random) worker=$(random) valkey=$(random)
keep database_url "postgresql://arqueduct:$owner@postgres:5432/arqueduct"
keep app_database_url "postgresql://arqueduct_app:$app@postgres:5432/arqueduct"
keep worker_database_url "postgresql://arqueduct_worker:$worker@postgres:5432/arqueduct"
keep redis_url "redis://:$valkey@valkey:6379/0"
keep valkey_conf "requirepass $valkey"
keep secret_keys "$(random)"
keep app_password "$app"
keep worker_password "$worker"
keep postgres_password "$owner"
echo "Secrets are in $folder. Keep a copy: without them the data cannot be opened." >&2

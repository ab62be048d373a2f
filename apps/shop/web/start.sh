#!/bin/sh
# Starts nginx with nginx.conf, filled in from the environment: PORT (8080) and API_URL. Needs no root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=$(mktemp -d)
chmod 0711 "$run" # where root starts it, its workers are another user
# nginx looks the API's name up again by itself, but has to be told whom to ask.
resolver=$(awk '$1 == "nameserver" { print $2 ~ /:/ ? "[" $2 "]" : $2; exit }' /etc/resolv.conf)
sed -e "s|@PORT@|${PORT:-8080}|" -e "s|@API@|$API_URL|" -e "s|@PAGE@|$here/page|" -e "s|@RUN@|$run|" \
    -e "s|@RESOLVER@|${resolver:-127.0.0.1}|" "$here/nginx.conf" >"$run/nginx.conf"
echo "web: listening on port ${PORT:-8080}, API at $API_URL"
PATH=$PATH:/usr/sbin exec nginx -p "$run" -c "$run/nginx.conf" -e stderr

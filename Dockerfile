# One image for every part of the platform; docker-compose.yml names what each container runs.

FROM debian:sid-slim AS asterisk-root
RUN apt-get update && apt-get install -y --no-install-recommends asterisk && rm -rf /var/lib/apt/lists/*

FROM python:3.11-slim-bookworm AS packages
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /tmp/runtime.txt

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends espeak-ng sox && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vns \
    && install -d -o vns -g vns -m 0700 /var/lib/vns
COPY --from=asterisk-root / /opt/asterisk/
COPY --from=packages /opt/venv /opt/venv
COPY api /srv/vns/api
COPY cli /srv/vns/cli
COPY hooks /srv/vns/hooks
COPY ivr /srv/vns/ivr
COPY local /srv/vns/local
COPY simulators /srv/vns/simulators
COPY sms_relay /srv/vns/sms_relay
COPY vns /srv/vns/vns
WORKDIR /srv/vns
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/srv/vns PYTHONUNBUFFERED=1
USER vns

# Three images from one base: `backend` (no PDF library), `worker` (no FastAPI), `migrate` (the backend with another
# command). Compilers are in none of them: every dependency comes as a wheel, pinned by hash.

FROM python:3.13-slim-trixie AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
# A fixed number, so that volumes keep their owner from one build to the next.
RUN groupadd --system --gid 10001 arqueduct \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/arqueduct --shell /usr/sbin/nologin arqueduct \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/arqueduct /blobs

FROM base AS wheel
WORKDIR /source
COPY requirements/build.txt requirements/build.txt
RUN pip install --require-hashes --no-deps --only-binary :all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY apps apps
COPY sql sql
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM base AS backend-environment
COPY requirements/backend.txt /tmp/requirements.txt
RUN python -m venv /opt/arqueduct \
    && /opt/arqueduct/bin/pip install --require-hashes --no-deps --only-binary :all: --requirement /tmp/requirements.txt
COPY --from=wheel /wheels /wheels
RUN /opt/arqueduct/bin/pip install --no-deps --no-index /wheels/*.whl

FROM base AS worker-environment
COPY requirements/worker.txt /tmp/requirements.txt
RUN python -m venv /opt/arqueduct \
    && /opt/arqueduct/bin/pip install --require-hashes --no-deps --only-binary :all: --requirement /tmp/requirements.txt
COPY --from=wheel /wheels /wheels
RUN /opt/arqueduct/bin/pip install --no-deps --no-index /wheels/*.whl

FROM base AS runtime
ENV PATH=/opt/arqueduct/bin:$PATH \
    ARQUEDUCT_DATA_DIR=/var/lib/arqueduct \
    ARQUEDUCT_STORAGE_URL=file:///blobs \
    ARQUEDUCT_HOST=0.0.0.0 \
    ARQUEDUCT_PORT=8000 \
    ARQUEDUCT_WORKER_METRICS_PORT=9100 \
    ARQUEDUCT_LOG_FORMAT=json
WORKDIR /var/lib/arqueduct
USER 10001:10001
ENTRYPOINT ["arqueduct"]

FROM runtime AS backend
COPY --from=backend-environment /opt/arqueduct /opt/arqueduct
EXPOSE 8000
CMD ["api"]

FROM backend AS migrate
CMD ["migrate", "up"]

FROM runtime AS worker
COPY --from=worker-environment /opt/arqueduct /opt/arqueduct
EXPOSE 9100
CMD ["worker"]

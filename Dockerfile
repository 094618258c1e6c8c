# The program with its flows, for the CPU:  docker build --tag nst-rs .
# For NVIDIA GPUs:  docker build --tag nst-rs:gpu --build-arg BASE=nvidia/cuda:12.9.1-base-ubuntu24.04 --build-arg NETWORK=gpu .
# docs/containers.md goes through both.
ARG BASE=ubuntu:24.04

FROM ${BASE} AS build
# cpu or gpu: which TensorFlow.
ARG NETWORK=cpu
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python3 -m venv /opt/nst-rs \
    && /opt/nst-rs/bin/pip install --no-cache-dir --constraint requirements.lock ".[${NETWORK},flows,dask,view,print]"

FROM ${BASE}
ARG USER_ID=1000
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libexpat1 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --no-log-init --non-unique --uid "${USER_ID}" nst \
    && install --directory --owner "${USER_ID}" /data
COPY --from=build /opt/nst-rs /opt/nst-rs
# Prefect's server copies its page somewhere before it serves it: beside its code, unless told, where this user may not write.
ENV PATH=/opt/nst-rs/bin:$PATH \
    HOME=/home/nst \
    PREFECT_UI_STATIC_DIRECTORY=/home/nst/prefect-page \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1
USER ${USER_ID}
WORKDIR /data
# Whether the program starts. compose.yaml asks the server and the worker how they are.
HEALTHCHECK --interval=5m --timeout=30s CMD ["nst-rs", "--version"]
CMD ["nst-rs", "--help"]

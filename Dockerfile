# The service of experiments.serve; see docs/serving.md.
#   docker build -t jax-gans .
#   docker build -t jax-gans:cuda --build-arg EXTRAS=serve,cuda .
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=serve
WORKDIR /src
COPY setup.py pyproject.toml constraints.txt ./
COPY gans gans
COPY configs configs
COPY experiments experiments
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gans \
    && install -d -o gans -g gans /var/cache/gans /models
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    JAX_COMPILATION_CACHE_DIR=/var/cache/gans
USER 10001:10001
WORKDIR /models
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "experiments.serve", "--host=0.0.0.0"]
CMD ["--workdir=/models/model"]

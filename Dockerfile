# syntax=docker/dockerfile:1
# Millrace on Node 24 and Debian 13. Compilers and development packages stay in the build stages; the last stage holds the node
# binary, the shared libraries that the native parts name, and the production packages. `npm run image:check` builds these
# stages without a Docker engine and tries the result.
ARG NODE_IMAGE=node:24-trixie-slim
ARG BASE_IMAGE=debian:trixie-slim

# Native parts and dist, with everything that building them takes.
FROM ${NODE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make python3 libssl-dev zlib1g-dev libzstd-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
# Before the rest of the sources: two minutes that only a new package or a changed addon costs again.
COPY scripts/build-rdkafka.mjs scripts/build-addon.mjs scripts/
COPY scripts/setup/libraries.mjs scripts/setup/
RUN node scripts/build-rdkafka.mjs
COPY src/kafka/rdkafka/native src/kafka/rdkafka/native
COPY src/push/native src/push/native
RUN node scripts/build-addon.mjs --force
COPY . .
RUN node scripts/build.mjs

# What runs: production packages without install scripts, less what only a build or another version of Node uses.
FROM ${NODE_IMAGE} AS app
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && cd node_modules \
 && rm -rf nan node-addon-api lmdb/node_modules/node-addon-api lmdb/dependencies uWebSockets.js uWebSockets.js-22 \
 && cd node-rdkafka \
 && rm -rf deps src test e2e ci bench examples util cpplint.py deploy.enc docker-compose.yml make_docs.sh run_docker.sh \
 && cd .. \
 && find . -type f -regextype egrep -regex '.*\.(h|hpp|c|cc|cpp|gyp|gypi|a|o|py)' -delete
COPY --from=build /app/node_modules/node-rdkafka/build/Release/node-librdkafka.node node_modules/node-rdkafka/build/Release/
COPY --from=build /app/node_modules/node-rdkafka/build/deps/librdkafka.so.1 /app/node_modules/node-rdkafka/build/deps/librdkafka++.so.1 node_modules/node-rdkafka/build/deps/
COPY --from=build /app/src/kafka/rdkafka/native/build/Release/millrace_kafka.node src/kafka/rdkafka/native/build/Release/
COPY --from=build /app/src/push/native/build/Release/millrace_push.node src/push/native/build/Release/
COPY --from=build /app/dist dist
COPY bin bin
COPY src/push/page src/push/page
COPY examples/candles examples/candles
COPY LICENSE ./

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="millrace" \
      org.opencontainers.image.description="Stream processing for Node.js: windowed, stateful, exactly once, from Kafka to Kafka and to the browser." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3t64 libstdc++6 libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 millrace \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin millrace \
 && mkdir /data /job \
 && chown 10001:10001 /data
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=app /app /app
# Everything that is written goes to /data: state, bundled jobs (.millrace/_jobs of the working directory), temporary files.
ENV NODE_ENV=production \
    TMPDIR=/data \
    MILLRACE_STATE_DIR=/data/state \
    MILLRACE_HTTP_HOST=0.0.0.0 \
    MILLRACE_PUSH_HOST=0.0.0.0
WORKDIR /data
VOLUME ["/data"]
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/bin/millrace.cjs", "health"]
# Node is process 1 and takes the signals itself; the launcher sees to those that come before the command listens.
ENTRYPOINT ["node", "/app/bin/millrace.cjs"]
CMD ["run", "/job/job.ts"]

# The service as an image, for amd64 and arm64; docs/operations.md says how it is run. It builds with and without BuildKit.
#
#   NODE_IMAGE  where it is built: Debian with Node and npm. A registry of yours that wants certificates or an .npmrc gets
#               them by way of this image; nothing of it is in the result but the binary of Node
#   BASE_IMAGE  what it runs on: Debian 12 or newer, or Ubuntu 24.04 or newer
ARG NODE_IMAGE=node:26-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# better-sqlite3 fetches its binary for this platform; where there is none it is compiled, with the headers of this Node.
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
  && { npm rebuild better-sqlite3 || { \
    apt-get -qq update && apt-get -y -qq install --no-install-recommends python3 make g++ \
    && npm_config_nodedir=$(node -p "require('node:path').resolve(process.execPath, '../..')") npm rebuild better-sqlite3; }; }
COPY nest-cli.json tsconfig.json ./
COPY src src
# What the service never loads at run time goes as well: types, maps of packages, sources of native modules. Of the optional
# packages publish:sourcemap needs its program.
RUN npm run build \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
  && rm -rf node_modules/cpu-features node_modules/buildcheck node_modules/nan \
  && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.[cm]ts' -o -name '*.map' \) -delete \
  && cd node_modules/better-sqlite3 && rm -rf deps src && find build -type f ! -name better_sqlite3.node -delete \
  && cp "$(node -p process.execPath)" /node

FROM ${BASE_IMAGE}
# Pause process and shell of the sandboxes, their accounts, disks and firewall, certificates for publish:sourcemap, and `ip`
# for whoever looks around inside.
# The host's /etc may cover this one, and with it the links of Debian's alternatives: they are made to lead there directly.
RUN apt-get -qq update \
  && DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends \
    busybox-static ca-certificates catatonit debianutils e2fsprogs iproute2 libatomic1 libstdc++6 mount nftables passwd \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
  && find /usr/bin /usr/sbin -type l -lname '/etc/alternatives/*' | while read -r link; do \
    ln -sf "$(readlink -f "$link")" "$link"; done
COPY --from=build /node /usr/local/bin/node
COPY scripts/docker-entrypoint.sh /usr/local/bin/mcp-runner
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY package.json ./
COPY drizzle drizzle
COPY --from=build /app/dist dist

LABEL org.opencontainers.image.title="mcp-runner" \
  org.opencontainers.image.description="Runs any MCP server in its own gVisor sandbox and gives it a URL" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/tangier-ai/mcp-runner" \
  org.opencontainers.image.documentation="https://github.com/tangier-ai/mcp-runner/blob/main/docs/operations.md"
ENV NODE_ENV=production
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["node", "/app/dist/healthcheck.js"]
ENTRYPOINT ["/usr/local/bin/mcp-runner"]

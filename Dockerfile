FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: the image brings its own Node, and nothing else that is needed here has one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/install.sh scripts/build.sh scripts/
COPY src src
RUN scripts/build.sh

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Type declarations that packages bring along are of no use at run time.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/@types

FROM node:24-slim
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY proto proto
COPY package.json LICENSE ./
USER node
EXPOSE 8000 50051
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || process.env.PAI_AGENT_PORT || 8000}/api/health/live`).then((response) => process.exit(response.ok ? 0 : 1), () => process.exit(1))"]
# The same image is a worker with: docker run … node dist/worker-main.js (and a health check of its own: docs/workers.md)
CMD ["node", "--max-semi-space-size=8", "dist/main.js"]

#!/bin/sh
# In the image, `mcp-runner`: the service when there are no arguments, else the command line (publish:sourcemap, backup …).
if [ $# -eq 0 ]; then
  set -- /app/dist/main.js
else
  set -- /app/dist/cli/main.js "$@"
fi
# The first process of a container has to reap what others leave behind, and gets no signal that it does not handle.
if [ $$ -eq 1 ]; then exec /usr/bin/catatonit -- node "$@"; fi
exec node "$@"

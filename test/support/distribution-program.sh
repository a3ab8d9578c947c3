#!/usr/bin/env bash
# Prints the path of a program of a distribution package that is unpacked but not installed, so that nothing of it is
# started or stays on the machine.
#
#   distribution-program.sh PACKAGE PATH
set -euo pipefail

readonly CACHE=${MCP_RUNNER_TEST_CACHE:-${HOME:-/root}/.cache/mcp-runner-test}
package=$1 path=$2
directory=$CACHE/package-$package

if [ ! -f "$directory/complete" ]; then
  rm -rf "$directory"
  mkdir -p "$directory/root"
  cd "$directory"
  apt-get -qq download "$package" 2>/dev/null || { apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 && apt-get -qq download "$package" >&2; }
  for file in *.deb; do dpkg-deb --extract "$file" root; done
  rm ./*.deb
  touch complete
fi
[ -x "$directory/root$path" ] || {
  echo "$package has no $path" >&2
  exit 1
}
echo "$directory/root$path"

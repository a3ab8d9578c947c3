import { BUSYBOX } from './pause-container.js';

/** Inherited by everything a server process starts, so that children that left its process group are found, too. */
export const TAG = 'MCP_RUNNER_PROCESS';

/**
 * Prints its pid, which is that of the process group, as the first line on stderr and becomes the program. The program is
 * looked up here because busybox would take its own applets for `env` or `sh`; with a slash in the name it does not.
 */
const LAUNCH = `
echo $$ >&2
unset PWD OLDPWD SHLVL
case $1 in
*/*) exec "$@" ;;
esac
mcpr_rest=$PATH:
while [ -n "$mcpr_rest" ]; do
  mcpr_dir=\${mcpr_rest%%:*}
  mcpr_rest=\${mcpr_rest#*:}
  mcpr_file=\${mcpr_dir:-.}/$1
  if [ -f "$mcpr_file" ] && [ -x "$mcpr_file" ]; then
    shift
    exec "$mcpr_file" "$@"
  fi
done
echo "$1: command not found" >&2
exit 127
`;

/**
 * Sends signals, pairs of a name and a target as `kill` takes it, and then says what runs: a line `pid group state` for
 * each process and one `/proc/pid/environ:tag` for each that carries a tag. All in one go, because starting a script in a
 * busy sandbox is what takes long.
 */
const SIGNAL = `
while [ $# -gt 1 ]; do
  kill "-$1" -- "$2" 2>/dev/null
  shift 2
done
for dir in /proc/[0-9]*; do
  read -r stat 2>/dev/null <"$dir/stat" || continue
  set -- \${stat##*) }
  echo "\${dir#/proc/} $3 $1"
done
${BUSYBOX} grep -HzF "${TAG}=" /proc/[0-9]*/environ 2>/dev/null | ${BUSYBOX} tr '\\0' '\\n'
`;

/** Everything but the pause process and this script. Exit code 0: nothing is left. */
const KILL_ALL = `
others() {
  for dir in /proc/[0-9]*; do
    pid=\${dir#/proc/}
    if [ "$pid" = 1 ] || [ "$pid" = $$ ]; then continue; fi
    read -r stat 2>/dev/null <"$dir/stat" || continue
    set -- \${stat##*) }
    if [ "$1" != Z ]; then return 0; fi
  done
  return 1
}
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -9 -1 2>/dev/null
  others || exit 0
  ${BUSYBOX} usleep 50000
done
exit 1
`;

function script(text: string, args: string[]): string[] {
  return [BUSYBOX, 'sh', '-c', text, 'sh', ...args];
}

export function launchCommand(argv: string[]): string[] {
  return script(LAUNCH, argv);
}

/** What `signalCommand` is to do: `KILL` to `42`, or to the group `-42`. */
export type SignalTarget = [signal: 'TERM' | 'KILL', target: string];

export function signalCommand(targets: SignalTarget[]): string[] {
  return script(SIGNAL, targets.flat());
}

export function killAllCommand(): string[] {
  return script(KILL_ALL, []);
}

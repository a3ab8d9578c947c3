// Loaded before the built service (`node --import`), and only by tests: kills the service at a chosen point, as a power
// cut or the kernel would, with nothing cleaned up. The point is told by CRASH_AT, or later over the IPC channel.
//
//   Class.method:before            its next call has not begun
//   Class.method:after             the first that succeeds from now on has returned, or its promise has resolved
//   Class.method:amid              its next call was made a moment ago, so that the engine or the host is at it
//   Class.method(word):before:2    of calls with this word among the arguments, the second
//
// The class is one of dist/, or one of ENGINE; `child_process.execFile(mkfs.ext4)` is a command of the host.
import childProcess from 'node:child_process';
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process, { env } from 'node:process';
import Docker from 'dockerode';

const DIST = new URL('../../dist/', import.meta.url);
const docker = new Docker();
const ENGINE = {
  Docker,
  Container: docker.getContainer('').constructor,
  Exec: docker.getExec('').constructor,
  Network: docker.getNetwork('').constructor,
  Volume: docker.getVolume('').constructor,
};
/** For a request to reach the engine; what it is asked for takes ten times as long. */
const MOMENT_MS = 15;
const POINT = /^(\w+)\.(\w+)(?:\(([\w.]+)\))?:(before|amid|after)(?::([1-9]\d*))?$/;

/** The object that has the method. */
async function ownerNamed(name) {
  if (name === 'child_process') return childProcess;
  if (name in ENGINE) return ENGINE[name].prototype;
  const declares = new RegExp(`^(export )?(let|class) ${name}\\b`, 'm');
  const file = readdirSync(DIST, { recursive: true }).find(
    (path) => path.endsWith('.js') && declares.test(readFileSync(new URL(path, DIST), 'utf8')),
  );
  const owner = file && (await import(new URL(file, DIST)))[name]?.prototype;
  if (!owner) throw new Error(`there is no class ${name}`);
  return owner;
}

async function arm(point) {
  const [, name, method, word, when, count = '1'] = POINT.exec(point) ?? [];
  if (!name) throw new Error('this is no point to crash at');
  const owner = await ownerNamed(name);
  const original = owner[method];
  if (typeof original !== 'function') throw new Error(`${name} has no method ${method}`);
  let left = Number(count);
  const reach = () => {
    left -= 1;
    if (left > 0) return;
    writeSync(2, `crashing at ${point}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  owner[method] = function (...args) {
    const counts = word === undefined || args.includes(word);
    if (counts && when === 'before') reach();
    const result = original.apply(this, args);
    if (counts && when === 'amid') setTimeout(reach, MOMENT_MS);
    if (!counts || when !== 'after') return result;
    if (typeof result?.then !== 'function') reach();
    else {
      return result.then((value) => {
        reach();
        return value;
      });
    }
    return result;
  };
  syncBuiltinESMExports();
}

function explain(point, error) {
  return `Cannot crash at ${point}: ${error.message}`;
}

process.on('message', (point) => {
  arm(point).then(
    () => process.send({ armed: point }),
    (error) => process.send({ refused: explain(point, error) }),
  );
});
// The channel keeps nothing alive.
process.channel?.unref();

if (env.CRASH_AT) {
  await arm(env.CRASH_AT).catch((error) => {
    writeSync(2, `${explain(env.CRASH_AT, error)}\n`);
    process.exit(78);
  });
}

// Loaded before the built service (`node --import`), and only by the soak: on SIGUSR2 the service collects its garbage and
// writes what it holds to FOOTPRINT_FILE, and its heap to a file beside that.
import { renameSync, writeFileSync } from 'node:fs';
import process, { env } from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';

const FILE = env.FOOTPRINT_FILE;

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc');

function countByName(names) {
  const counts = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function listenersOf(name, emitter) {
  return emitter.eventNames().map((event) => [`${name} ${String(event)}`, emitter.listenerCount(event)]);
}

async function writeFootprint() {
  // What is finalized in a turn sets more free for the next.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await turn();
  }
  const handles = process['_getActiveHandles']();
  const servers = handles.filter((handle) => handle.constructor.name === 'Server');
  const footprint = {
    memory: process.memoryUsage(),
    resources: countByName(process.getActiveResourcesInfo()),
    handles: countByName(handles.map((handle) => handle.constructor.name)),
    listeners: Object.fromEntries([
      ...listenersOf('process', process),
      ...servers.flatMap((server) => listenersOf('server', server)),
    ]),
  };
  v8.writeHeapSnapshot(`${FILE}.heapsnapshot`);
  writeFileSync(`${FILE}.part`, JSON.stringify(footprint));
  renameSync(`${FILE}.part`, FILE);
}

process.on('SIGUSR2', () => void writeFootprint());

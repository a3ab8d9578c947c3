import { join } from 'node:path';
import { installPackages } from './fixture-packages.js';

/** This package is nothing but Node's binary. */
const PACKAGE = `node-${process.platform}-${process.arch}`;
const VERSION = '22.23.3';

/** A Node of version 22 or newer, for the programs that need one: ours, or one that is installed for the tests. */
export async function recentNode(): Promise<string> {
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath;
  const directory = await installPackages('node', [`${PACKAGE}@${VERSION}`]);
  return join(directory, 'node_modules', PACKAGE, 'bin/node');
}

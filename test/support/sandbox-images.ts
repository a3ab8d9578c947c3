import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BASE = 'mcp-runner/node-base:local';

/** An image of nothing but what the Dockerfile instructions say. */
export async function importImage(tag: string, files: string[], ...changes: string[]): Promise<string> {
  const options = changes.flatMap((change) => ['--change', change]);
  const script =
    'cd "$(mktemp -d)" && trap "rm -rf $PWD" EXIT && for f in $FILES; do : > "$f"; done && tar -cf - . | docker import "$@"';
  await run('bash', ['-c', script, 'bash', ...options, '-', tag], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', FILES: files.join(' ') },
  });
  return tag;
}

/** The Node image with these Dockerfile instructions on top. */
export async function changeImage(tag: string, ...changes: string[]): Promise<string> {
  const container = (await run('docker', ['create', BASE])).stdout.trim();
  try {
    await run('docker', ['commit', ...changes.flatMap((change) => ['--change', change]), container, tag]);
  } finally {
    await run('docker', ['rm', container]);
  }
  return tag;
}

export async function removeImages(...tags: string[]): Promise<void> {
  await run('docker', ['rmi', '--force', ...tags]);
}

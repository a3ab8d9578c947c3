import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogGround } from '../../test/support/log-ground.js';

const RESTARTED = 'The service was restarted. Processes of before do not run any more.';

let ground: LogGround;

beforeEach(() => {
  ground = new LogGround();
});

afterEach(() => ground.dispose());

describe('a disk that takes nothing', () => {
  it('disturbs nobody, and what was lost is counted when it takes something again', async () => {
    // A file where the folder should be.
    writeFileSync(ground.folder, '');
    const server = ground.log.openProcess();
    for (const text of ['a\n', 'b\nc\n']) {
      server.stderr(Buffer.from(text));
      await ground.log.flushed();
    }
    expect(ground.faults).toHaveLength(1);
    rmSync(ground.folder);
    server.stderr(Buffer.from('d\n'));
    expect(await ground.texts()).toEqual(['3 lines were lost: they could not be written.', 'd']);
  });

  it.each(['its folder', 'a segment'])(
    'or cannot open %s just now, costs none of the lines that are there',
    async (what) => {
      ground.log.openProcess().stderr(Buffer.from('one\n'));
      await ground.log.flushed();
      const path = what === 'a segment' ? (ground.files[0] ?? '') : ground.folder;
      renameSync(path, `${path}.aside`);
      // It leads nowhere but to itself, which is an error for everybody who opens it, root as well.
      symlinkSync(path, path);
      await ground.reopen();
      await expect(ground.texts()).rejects.toThrow('ELOOP');
      ground.log.openProcess().stderr(Buffer.from('two\n'));
      await ground.log.flushed();
      expect(ground.faults).toEqual([expect.objectContaining({ code: 'ELOOP' })]);
      rmSync(path);
      renameSync(`${path}.aside`, path);
      expect(await ground.texts()).toEqual(['one']);
      ground.log.openProcess().stderr(Buffer.from('three\n'));
      expect(await ground.texts()).toEqual([
        'one',
        RESTARTED,
        '1 lines were lost: they could not be written.',
        'three',
      ]);
    },
  );

  it('may lose the folder meanwhile, and it comes back', async () => {
    const server = ground.log.openProcess();
    server.stderr(Buffer.from('a\n'));
    await ground.log.flushed();
    rmSync(ground.folder, { recursive: true });
    server.stderr(Buffer.from('b\n'));
    await ground.log.flushed();
    server.stderr(Buffer.from('c\n'));
    expect((await ground.texts()).at(-1)).toBe('c');
  });
});

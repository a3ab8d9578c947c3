import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, newClient, transportTo, withClient } from '../support/client.js';
import { npmImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

const HOME = '/home/mcp';

/** Real servers, as their authors publish them, that keep something: in a file, on the disk, in their process. */
describe('servers from npm in a sandbox, through unmodified SDK clients', () => {
  let service: Service;

  beforeAll(async () => {
    service = await Service.start();
  });

  afterAll(() => service.stop());

  it('server-memory remembers in its HOME what an earlier session told it', async () => {
    const image = await npmImage('@modelcontextprotocol/server-memory@2026.8.31');
    const deployment = await service.deploy({ image, env: { MEMORY_FILE_PATH: `${HOME}/memory.jsonl` } });
    await withClient(deployment, async (client) => {
      const entities = [{ name: 'Ada', entityType: 'person', observations: ['wrote the first program'] }];
      await callText(client, 'create_entities', { entities });
    });
    const found = await withClient(deployment, (client) =>
      callText(client, 'search_nodes', { query: 'program' }),
    );
    expect(found).toContain('Ada');
  });

  it('server-filesystem works in its HOME and nowhere else', async () => {
    const image = await npmImage('@modelcontextprotocol/server-filesystem@2026.8.31');
    const deployment = await service.deploy({ image, args: [HOME] });
    await withClient(deployment, async (client) => {
      expect(await callText(client, 'list_allowed_directories')).toContain(HOME);
      const path = `${HOME}/notes/today.txt`;
      await callText(client, 'create_directory', { path: `${HOME}/notes` });
      await callText(client, 'write_file', { path, content: 'first line\nzweite Zeile\n' });
      await callText(client, 'edit_file', { path, edits: [{ oldText: 'first', newText: 'only' }] });
      expect(await callText(client, 'read_text_file', { path })).toBe('only line\nzweite Zeile\n');
      expect(await callText(client, 'search_files', { path: HOME, pattern: '**/*.txt' })).toContain(path);
      await expect(callText(client, 'read_text_file', { path: '/etc/passwd' })).rejects.toThrow(/denied/);
    });
  });

  it('server-sequential-thinking keeps the thoughts of two sessions at once apart', async () => {
    const image = await npmImage('@modelcontextprotocol/server-sequential-thinking@2026.8.31');
    const deployment = await service.deploy({ image });
    const [one, two] = [newClient(), newClient()];
    await Promise.all([one.connect(transportTo(deployment)), two.connect(transportTo(deployment))]);
    const think = async (client: typeof one, thoughtNumber: number): Promise<unknown> => {
      const thought = { thought: 'hm', nextThoughtNeeded: true, thoughtNumber, totalThoughts: 9 };
      const text = await callText(client, 'sequentialthinking', thought);
      return (JSON.parse(text) as { thoughtHistoryLength: number }).thoughtHistoryLength;
    };
    try {
      expect(await Promise.all([think(one, 1), think(two, 1)])).toEqual([1, 1]);
      expect(await think(one, 2)).toBe(2);
      expect(await think(one, 3)).toBe(3);
      expect(await think(two, 2)).toBe(2);
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });
});

import { Logger } from '@nestjs/common';
import { describe, expect, it, vi } from 'vitest';
import { EventLog } from './event-log.js';
import type { TenantEvent } from './tenant-event.js';

const CRASH = {
  type: 'crash',
  deploymentId: 'dp_a',
  at: Date.UTC(2026, 0, 31),
  data: { code: 'server_exited', message: 'It exited.', failures: 2, retryInSeconds: 1.5 },
} as const satisfies TenantEvent;

function messageOf(message: string): string {
  const log = new EventLog();
  log.append('tn_a', { ...CRASH, data: { ...CRASH.data, message } });
  const text = log.ringOf('tn_a').after(0)?.text ?? '';
  return (JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '') as { message: string }).message;
}

describe('the event log', () => {
  it('has an event as it goes over the wire', () => {
    const log = new EventLog();
    log.append('tn_a', CRASH);
    expect(log.ringOf('tn_a').after(0)).toEqual({
      deploymentId: 'dp_a',
      text:
        `id: ${log.ringOf('tn_a').idOf(1)}\nevent: crash\n` +
        'data: {"type":"crash","deploymentId":"dp_a","at":"2026-01-31T00:00:00.000Z","code":"server_exited",' +
        '"message":"It exited.","failures":2,"retryInSeconds":1.5}\n\n',
    });
  });

  it('counts the events of each tenant for itself, and of each service under another epoch', () => {
    const log = new EventLog();
    for (const tenant of ['tn_a', 'tn_b', 'tn_a']) log.append(tenant, CRASH);
    expect([log.ringOf('tn_a').newest, log.ringOf('tn_b').newest]).toEqual([2, 1]);
    expect(log.ringOf('tn_a').idOf(1)).toBe(log.ringOf('tn_b').idOf(1));
    expect(new EventLog().ringOf('tn_a').idOf(1)).not.toBe(log.ringOf('tn_a').idOf(1));
  });

  it('keeps the newest 1,000', () => {
    const log = new EventLog();
    const ring = log.ringOf('tn_a');
    for (let n = 0; n < 2345; n++) log.append('tn_a', CRASH);
    expect([1344, 1345, 2345, 2346].map((position) => ring.reaches(position))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    for (let position = 1345; position < 2345; position++) {
      expect(ring.after(position)?.text).toContain(`id: ${ring.idOf(position + 1)}\n`);
    }
    expect(ring.after(2345)).toBeUndefined();
  });

  it('shortens messages to 2,000 characters, and cuts none of them in half', () => {
    expect(messageOf('x'.repeat(2000))).toBe('x'.repeat(2000));
    expect(messageOf('x'.repeat(2001))).toBe(`${'x'.repeat(1999)}…`);
    expect(messageOf(`${'x'.repeat(1998)}😀😀`)).toBe(`${'x'.repeat(1998)}…`);
  });

  it('throws nothing at who appends, and goes on behind an event that cannot be told', () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const log = new EventLog();
    log.append('tn_a', { ...CRASH, at: NaN });
    log.append('tn_a', CRASH);
    expect(logged).toHaveBeenCalledOnce();
    logged.mockRestore();
    expect(log.ringOf('tn_a').newest).toBe(1);
    expect(log.ringOf('tn_a').after(0)?.text).toContain('server_exited');
  });
});

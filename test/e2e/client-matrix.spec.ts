import { afterAll, beforeAll, describe, it } from 'vitest';
import { MATRIX_CLIENTS, MATRIX_SERVERS, type MatrixTarget, playAll } from '../support/client-matrix.js';
import { installMatrixPrograms } from '../support/client-matrix-programs.js';
import { fixtureImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

describe('unmodified clients', () => {
  let service: Service;
  const targets = new Map<string, MatrixTarget>();

  beforeAll(async () => {
    const image = await fixtureImage();
    await installMatrixPrograms();
    service = await Service.start();
    await Promise.all(
      MATRIX_SERVERS.map(async ({ server, transport, args }) => {
        targets.set(server, await service.deploy({ image, transport, args: [...args] }));
      }),
    );
  });

  afterAll(() => service.stop());

  const cells = MATRIX_SERVERS.flatMap(({ server }) =>
    MATRIX_CLIENTS.map(({ client, edge, connect }) => [client, edge, server, connect] as const),
  );

  it.each(cells)('%s over %s works with a server that speaks %s', async (_client, _edge, server, connect) => {
    const target = targets.get(server);
    if (!target) throw new Error(`There is no deployment that speaks ${server}`);
    const client = await connect(target);
    try {
      await playAll(client, server);
    } finally {
      await client.close();
    }
  });
});

/**
 * A worker that has not heard from any agent yet: it cannot say which functions there are, and says so.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { carton } from '../../config/config.default';
import { WorkerHost } from '../../lib/entry/worker_host';
import { attachToServer } from '../../lib/ingress/attach';
import { validateConfig } from '../../lib/spec/config_schema';
import { systemClock } from '../../lib/support/clock';
import type { HostEnvironment } from '../../lib/support/host_environment';

describe('a worker without an agent', () => {
  const silent = (): undefined => undefined;
  const environment: HostEnvironment = {
    application: { kind: 'module', name: 'alone', baseDir: tmpdir(), entry: join(tmpdir(), 'none.js'), options: {}, disabledPlugins: [] },
    config: validateConfig({ ...carton, directory: join(tmpdir(), 'egg-carton-nobody') }),
    hostProcess: { pid: process.pid, startTime: 'never' },
    development: false,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    clock: systemClock,
  };

  it('answers 503 with Retry-After for any function, and leaves all else to the application', async () => {
    const host = new WorkerHost({ environment, application: {}, cookies: () => ({ get: silent }), access: undefined });
    const server = createServer((_request, response) => response.end('the application'));
    attachToServer(server, host.ingress);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = await fetch(`${origin}/oneapi/hello`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[]' });
    const body = (await answer.json()) as { error: { code: string } };
    assert.deepEqual([answer.status, answer.headers.get('retry-after'), body.error.code], [503, '1', 'CARTON_SCHEDULER_UNAVAILABLE']);
    assert.equal(await (await fetch(`${origin}/anything`)).text(), 'the application');
    await host.close();
    server.closeAllConnections();
    server.close();
  });
});

/**
 * A host without Egg: scheduler, launcher and ingress behind a bare node:http server and behind Koa, with functions in
 * processes of their own.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Koa from 'koa';
import { createHost, hostFunctions, type Host, type HostOptions } from '../../koa';
import type { HostLog } from '../../lib/support/host_environment';
import { FIXTURES, left } from '../support/cluster';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http';
import { isRunning } from '../support/processes';

interface Running {
  readonly host: Host;
  readonly server: Server;
  readonly client: HttpClient;
  readonly directory: string;
  readonly lines: string[];
}

type Start = (options: HostOptions) => Promise<{ host: Host; server: Server }>;

const overHttp: Start = async (options) => {
  const host = await createHost(options);
  const server = createServer((_request, response) => response.end('the server'));
  host.attach(server);
  return { host, server };
};

const overKoa: Start = async (options) => {
  const app = new Koa();
  app.use((ctx) => {
    ctx.body = 'the server';
  });
  const host = await hostFunctions(app, options);
  return { host, server: createServer(app.callback()) };
};

async function start(how: Start): Promise<Running> {
  const directory = mkdtempSync(path.join(tmpdir(), 'ec-'));
  const lines: string[] = [];
  const say = (message: string | Error): void => void lines.push(String(message));
  const log: HostLog = { debug: say, info: say, warn: say, error: say };
  const { host, server } = await how({
    baseDir: path.join(FIXTURES, 'bare-host'),
    module: 'services.js',
    options: { currency: 'CNY' },
    application: 'the application',
    log,
    carton: {
      directory,
      ingress: { accessLog: true },
      resolveUser: ({ headers }, application) => (headers['x-user'] === undefined ? undefined : { id: headers['x-user'], application }),
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host, server, client: new HttpClient((server.address() as AddressInfo).port), directory, lines };
}

for (const [title, how] of [['node:http', overHttp], ['Koa', overKoa]] as const) {
  describe(`a host on bare ${title}`, () => {
    let running: Running;
    before(async () => {
      running = await start(how);
    });

    it('runs functions in processes of their own, with the module\'s services', async () => {
      const answer = await running.client.invoke('price', [3]);
      const { pid, ...rest } = answer.json<{ pid: number }>();
      assert.deepEqual(rest, { price: '3.00 CNY', currency: 'CNY' });
      assert.notEqual(pid, process.pid);
      assert.equal((await running.client.request('/prices/3')).json<{ pid: number }>().pid, pid);
    });

    it('streams, resolves users and answers errors from the table', async () => {
      const { client } = running;
      assert.equal((await client.invoke('count', [2])).text, '{"data":1}\n{"data":2}\n{"end":true}\n');
      assert.deepEqual((await client.invoke('who', [], { headers: { 'x-user': 'u1' } })).json(), { id: 'u1', application: 'the application' });
      assert.equal((await client.invoke('who')).code, 'CARTON_INGRESS_USER_REQUIRED');
      assert.equal((await client.invoke('nobody')).code, 'CARTON_INGRESS_UNKNOWN_FUNCTION');
      assert.equal((await client.request('/prices/x')).code, 'CARTON_RUNTIME_BAD_ARGUMENT');
    });

    it('leaves all other requests to the server', async () => {
      assert.equal((await running.client.request('/anything')).text, 'the server');
      assert.equal((await running.client.request('/prices/3', { method: 'POST', body: {} })).text, 'the server');
    });

    it('calls functions from code, and writes the access log', async () => {
      const { carton } = running.host;
      assert.equal(((await carton.invoke('price', [1])) as { price: string }).price, '1.00 CNY');
      assert.deepEqual(carton.functions.map(({ name }) => name), ['count', 'price', 'who']);
      assert.ok(running.lines.some((line) => line.startsWith('{') && (JSON.parse(line) as { function: string }).function === 'price'));
    });

    it('ends with all its processes and leaves nothing behind', async () => {
      const { pid } = (await running.client.invoke('price', [3])).json<{ pid: number }>();
      running.client.close();
      running.server.close();
      await running.host.close();
      await eventually('the end of the instance', () => !isRunning(pid));
      assert.deepEqual(left(running.directory), []);
      rmSync(running.directory, { recursive: true });
    });
  });
}

describe('a host that cannot start', () => {
  const baseDir = path.join(FIXTURES, 'bare-host');

  it('says what is wrong with its configuration', async () => {
    await assert.rejects(createHost({ baseDir, module: 'services.js', carton: { maxInstances: 0 } }), { code: 'CARTON_CONFIG_INVALID', message: /config\.carton\.maxInstances/ });
  });

  it('refuses an http trigger below the path at which functions are called by name', async () => {
    await assert.rejects(createHost({ baseDir, module: 'services.js', carton: { ingress: { oneapiPath: '/prices/' }, resolveUser: () => undefined } }), {
      code: 'CARTON_SPEC_INVALID',
      message: /functions\["?price"?\]?[^]*oneapiPath[^]*\/prices\/:amount|functions\.price[^]*oneapiPath[^]*\/prices\/:amount/,
    });
  });
});

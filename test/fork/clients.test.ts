/**
 * Adapters for HTTP clients, in the mocha process itself: what is idle is closed and opened again at the next request,
 * what is in use is left alone. Nothing here is forked.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { closeWhatReopens } from '../../lib/fork/inside/closing';
import { describeClient } from '../../lib/fork/inside/clients/index';
import { openSockets, type OpenSocket } from '../../lib/fork/inside/inspection/handles';
import { Origins } from '../../lib/fork/inside/origins';

type Get = (path: string) => Promise<{ text(): Promise<string>; cancel(): void }>;

/** What Egg brings along: the versions that applications use. */
const fromEgg = createRequire(require.resolve('egg'));

describe('test/fork/clients.test.ts', () => {
  let server: Server;
  let url: string;
  let origins: Origins;

  before(async () => {
    server = createServer((request, response) => {
      response.flushHeaders();
      if (request.url !== '/endless') response.end('done');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    origins = new Origins();
    origins.start();
  });
  afterEach(() => origins.stop());

  /** Of clients, to the server of this test. */
  const open = (): OpenSocket[] => openSockets(origins).filter(({ socket }) => !socket.destroyed && `http://127.0.0.1:${socket.remotePort}` === url);

  for (const [name, make] of Object.entries({
    'an agent of node:http': () => throughAgent(new http.Agent({ keepAlive: true })),
    'agentkeepalive': () => throughAgent(new (fromEgg('agentkeepalive') as new (options: object) => http.Agent)({ keepAlive: true })),
    'the fetch of Node': (): Get => async (path) => {
      const response = await fetch(url + path);
      return { text: () => response.text(), cancel: () => void response.body?.cancel() };
    },
    'npm\'s undici': (): Get => {
      // Its global dispatcher is that of Node's fetch, with what earlier tests left in it.
      const { request, Agent } = fromEgg('undici') as { Agent: new () => object; request(url: string, options: { dispatcher: object }): Promise<{ body: NodeJS.ReadableStream & { text(): Promise<string>; destroy(): void } }> };
      const dispatcher = new Agent();
      return async (path) => {
        const { body } = await request(url + path, { dispatcher });
        return { text: () => body.text(), cancel: () => body.on('error', () => undefined).destroy() };
      };
    },
  } satisfies Record<string, () => Get>)) {
    it(`closes idle connections of ${name}, which opens another one when it needs one`, async () => {
      const get = make();
      assert.equal(await (await get('/')).text(), 'done');
      const [first, ...others] = open();
      assert.ok(first !== undefined && others.length === 0);
      await closeWhatReopens(origins);
      assert.ok(first.socket.destroyed);
      assert.equal(await (await get('/')).text(), 'done');
      assert.equal(open().length, 1);
      await closeWhatReopens(origins);
    });

    it(`leaves connections of ${name} alone that have a request under way, and says whose they are`, async () => {
      const response = await make()('/endless');
      await closeWhatReopens(origins);
      const [busy, ...others] = open();
      assert.ok(busy !== undefined && others.length === 0);
      assert.match(describeClient(origins, busy.origin.resource), /^ \(of (?:an HTTP agent|fetch or undici), with a request under way\)$/);
      response.cancel();
      busy.socket.destroy();
    });
  }

  it('leaves alone what no adapter knows', async () => {
    const request = http.get(`${url}/endless`, { agent: false });
    const [response] = await once(request, 'response') as [http.IncomingMessage];
    await closeWhatReopens(origins);
    const [known] = open();
    assert.ok(known !== undefined && !known.socket.destroyed);
    response.destroy();
  });

  function throughAgent(agent: http.Agent): Get {
    return async (path) => {
      const [response] = await once(http.get(url + path, { agent }), 'response') as [http.IncomingMessage];
      return {
        async text() {
          let all = '';
          for await (const chunk of response) all += String(chunk);
          return all;
        },
        cancel: () => void response.on('error', () => undefined).destroy(),
      };
    };
  }
});

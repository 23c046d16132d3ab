/**
 * The settings of the ingress on a real cluster: CORS, the origin check, the access log, who may call; and that
 * everything that is not a function's reaches the application as it came.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { WebSocket } from 'ws';
import { startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import type { Answer } from '../support/http';
import { raw } from './raw';

const SHOP = 'https://shop.example';

const PREFLIGHT = { origin: SHOP, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };

function corsOf({ headers }: Answer): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-') || name === 'vary'));
}

describe('the ingress with its defaults', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ application: 'ingress-app', workers: 2 });
  });
  after(() => cluster.stop());

  const logged = (): string => readFileSync(`${cluster.home}/logs/ingress-app/egg-web.log`, 'utf8');

  it('sends no CORS headers, and refuses preflight requests below the prefix', async () => {
    const answer = await cluster.request('/oneapi/echo', { method: 'OPTIONS', headers: PREFLIGHT });
    assert.deepEqual([answer.status, answer.code, corsOf(answer)], [405, 'CARTON_INGRESS_METHOD_NOT_ALLOWED', {}]);
    assert.deepEqual(corsOf(await cluster.invoke('echo', [], { headers: { origin: cluster.url } })), {});
  });

  it('takes requests of pages of the same origin, and of no page', async () => {
    for (const headers of [{}, { origin: cluster.url }, { origin: `https://127.0.0.1:${cluster.port}` }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) {
      assert.equal((await cluster.invoke('echo', [], { headers })).status, 200, JSON.stringify(headers));
    }
  });

  it('refuses requests of pages of other origins before it looks for a user', async () => {
    for (const headers of [{ origin: SHOP }, { origin: 'null' }, { origin: 'http://127.0.0.1:1' }, { origin: 'not an origin' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      const answer = await cluster.invoke('user.required', [], { headers });
      assert.deepEqual([answer.status, answer.code], [403, 'CARTON_INGRESS_ORIGIN_REFUSED'], JSON.stringify(headers));
    }
  });

  it('lets pages of other origins read what changes nothing', async () => {
    assert.equal((await cluster.request('/pets/7', { headers: { origin: SHOP } })).status, 200);
  });

  it('writes no access log', async () => {
    await cluster.invoke('echo');
    assert.equal(readFileSync(`${cluster.home}/logs/ingress-app/carton-access.log`, 'utf8'), '');
  });

  it('reports routes of the application that a function hides, at boot', async () => {
    const text = await eventually('both warnings', () => (logged().match(/CARTON_INGRESS_ROUTE_SHADOWED/g) ?? []).length >= 2 && logged());
    assert.match(text, /function "pets\.shadow"[^\n]*GET \/shadowed\/:id, which the route \/shadowed\/:name matches/);
    assert.match(text, /which the route \/oneapi\/legacy matches/);
    assert.doesNotMatch(text, /the route \/(?:request|login|pets\/:id) matches/);
  });

  describe('and a user resolver', () => {
    const as = (user: string): { headers: Record<string, string> } => ({ headers: { 'x-user': user } });

    it('gives functions the user, required or optional', async () => {
      for (const name of ['user.required', 'user.optional']) assert.deepEqual((await cluster.invoke(name, [], as('u1'))).json(), { user: { id: 'u1' } });
    });

    it('refuses nobody where a user is required, and serves nobody where it is optional', async () => {
      const answer = await cluster.invoke('user.required');
      assert.deepEqual([answer.status, answer.code], [401, 'CARTON_INGRESS_USER_REQUIRED']);
      assert.deepEqual((await cluster.invoke('user.optional')).json(), {});
    });

    it('is not asked for functions that look for no user', async () => {
      assert.deepEqual((await cluster.invoke('user.none', [], as('throws'))).json(), {});
    });

    it('sees headers, peer and application', async () => {
      const { user } = (await cluster.invoke('user.required', [], as('seen'))).json<{ user: { address: string; greeting: string } }>();
      assert.deepEqual([user.address.replace('::ffff:', ''), user.greeting], ['127.0.0.1', 'hello']);
    });

    it('that fails or returns no JSON gives a coded error, not its own', async () => {
      for (const user of ['throws', 'bigint', 'circular', 'function', 'large']) {
        for (const name of ['user.required', 'user.optional']) {
          const answer = await cluster.invoke(name, [], as(user));
          assert.deepEqual([answer.status, answer.code], [500, 'CARTON_INGRESS_USER_RESOLVER_FAILED'], user);
          assert.doesNotMatch(answer.text, /session store|\n +at /);
        }
      }
      await eventually('the cause in the log', () => /the session store is away\n\s+at /.test(cluster.logs));
    });

    it('that never answers is waited for until the deadline', async () => {
      const answer = await cluster.invoke('user.optional', [], as('hangs'));
      assert.deepEqual([answer.status, answer.code], [504, 'CARTON_RUNTIME_TIMEOUT']);
    });

    const login = async (): Promise<string[]> => {
      const answer = await cluster.request('/login', { method: 'POST', body: { id: 'u7', secret: 'geheim' } });
      return (answer.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0] as string);
    };

    it('reads signed and encrypted cookies that the application\'s own route has set', async () => {
      const cookie = (await login()).join('; ');
      assert.deepEqual((await cluster.invoke('user.required', [], { headers: { cookie } })).json(), { user: { id: 'u7', secret: 'geheim' } });
    });

    it('takes a forged or an unsigned cookie for none', async () => {
      const cookies = await login();
      const forged = cookies.filter((text) => text.startsWith('signed')).map((text) => text.replace('=u7', '=root'));
      for (const cookie of [forged.join('; '), 'signed=u7', 'signed=u7; signed.sig=x', 'secret=AAAA', '=;;=']) {
        assert.equal((await cluster.invoke('user.required', [], { headers: { cookie } })).code, 'CARTON_INGRESS_USER_REQUIRED', cookie);
      }
    });

    it('reads cookies that an older key has signed', async () => {
      const signature = createHmac('sha256', 'ingress-app-old-key').update('signed=u8').digest('base64url');
      const cookie = `signed=u8; signed.sig=${signature}`;
      assert.deepEqual((await cluster.invoke('user.required', [], { headers: { cookie } })).json(), { user: { id: 'u8' } });
    });
  });

  describe('and the application\'s own requests', () => {
    it('leaves bodies, cookies and queries to it', async () => {
      const cookie = 'signed=u1';
      const answer = await cluster.request('/request?a=1&a=2', { method: 'POST', body: { deep: [1] }, headers: { cookie, 'x-custom': 'kept' } });
      const seen = answer.json<{ method: string; url: string; body: unknown; headers: Record<string, string> }>();
      assert.deepEqual([seen.method, seen.url, seen.body], ['POST', '/request?a=1&a=2', { deep: [1] }]);
      assert.deepEqual([seen.headers['cookie'], seen.headers['x-custom']], [cookie, 'kept']);
    });

    it('lets it read an upload as it comes', async () => {
      const answer = await new Promise<string>((resolve, reject) => {
        const sent = httpRequest({ port: cluster.port, host: '127.0.0.1', path: '/upload', method: 'PUT' }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks).toString()));
        });
        sent.once('error', reject);
        for (let part = 0; part < 50; part += 1) sent.write(Buffer.alloc(100_000, part));
        sent.end();
      });
      assert.equal(answer, '{"bytes":5000000}');
    });

    it('lets WebSocket upgrades through', async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${cluster.port}/ws`);
      await once(socket, 'open');
      socket.send('hello');
      const [message] = (await once(socket, 'message')) as [Buffer];
      assert.equal(message.toString(), 'echo hello');
      socket.close();
      await once(socket, 'close');
    });

    it('answers functions and routes in turn on one connection', async () => {
      const head = 'HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n';
      const text = await raw(cluster.port, `POST /oneapi/nothing ${head}\r\n[]GET /pets HTTP/1.1\r\nhost: a\r\n\r\nPOST /oneapi/ecko ${head}\r\n[]POST /oneapi/echo ${head}connection: close\r\n\r\n[]`);
      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 204', 'HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
    });
  });
});

describe('the ingress with CORS, allowed origins and an access log', () => {
  let cluster: Cluster;
  before(async () => {
    const cors = { origins: [SHOP, 'https://read.example'], credentials: true, maxAgeSeconds: 60, allowedHeaders: ['x-trail'] };
    cluster = await startCluster({ application: 'ingress-app', workers: 1, carton: { ingress: { cors, allowedOrigins: [SHOP], accessLog: true } } });
  });
  after(() => cluster.stop());

  it('answers preflight requests of its origins', async () => {
    const answer = await cluster.request('/oneapi/echo', { method: 'OPTIONS', headers: PREFLIGHT });
    assert.equal(answer.status, 204);
    assert.deepEqual(corsOf(answer), {
      vary: 'Origin',
      'access-control-allow-origin': SHOP,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'content-type, x-trail',
      'access-control-max-age': '60',
    });
  });

  it('answers preflight requests for http triggers with all methods of the path', async () => {
    const answer = await cluster.request('/pets/7', { method: 'OPTIONS', headers: { ...PREFLIGHT, 'access-control-request-method': 'PATCH' } });
    assert.equal(answer.headers['access-control-allow-methods'], 'GET, HEAD, PATCH');
  });

  it('gives pages of other origins no permission', async () => {
    const answer = await cluster.request('/oneapi/echo', { method: 'OPTIONS', headers: { ...PREFLIGHT, origin: 'https://evil.example' } });
    assert.deepEqual([answer.status, corsOf(answer)], [204, { vary: 'Origin' }]);
  });

  it('lets its pages read answers and errors', async () => {
    for (const name of ['echo', 'ecko', 'limited', 'limited', 'limited']) {
      const answer = await cluster.invoke(name, [], { headers: { origin: SHOP } });
      assert.equal(answer.headers['access-control-allow-origin'], SHOP);
      assert.equal(answer.headers['access-control-expose-headers'], 'retry-after');
    }
  });

  it('does not take a permission to read for one to act', async () => {
    const answer = await cluster.invoke('echo', [], { headers: { origin: 'https://read.example' } });
    assert.deepEqual([answer.code, answer.headers['access-control-allow-origin']], ['CARTON_INGRESS_ORIGIN_REFUSED', 'https://read.example']);
  });

  it('leaves the application\'s own preflight requests to it', async () => {
    const answer = await cluster.request('/login', { method: 'OPTIONS', headers: PREFLIGHT });
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  });

  it('writes a line for each request to a function, without its query', async () => {
    await cluster.invoke('echo', ['logged']);
    await cluster.invoke('values.failing', [{ message: 'logged', status: 418 }]);
    await cluster.request('/pets/42?tag=secret');
    await cluster.request('/request');
    await cluster.invoke('no-such-function');
    type Line = Record<string, unknown>;
    const lines = await eventually('the lines', () => {
      const all = readFileSync(`${cluster.home}/logs/ingress-app/carton-access.log`, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line) as Line);
      return all.some((line) => line['path'] === '/oneapi/no-such-function') && all.slice(-4);
    });
    assert.deepEqual(lines.map((line) => [line['method'], line['path'], line['function'], line['status'], line['code']]), [
      ['POST', '/oneapi/echo', 'echo', 200, undefined],
      ['POST', '/oneapi/values.failing', 'values.failing', 418, 'CARTON_RUNTIME_FUNCTION_THREW'],
      ['GET', '/pets/42', 'pets.find', 200, undefined],
      ['POST', '/oneapi/no-such-function', '', 404, 'CARTON_INGRESS_UNKNOWN_FUNCTION'],
    ]);
    const [echo] = lines as [Line];
    assert.match(String(echo['invocation']), /^[0-9a-f]{32}$/);
    assert.ok(Number(echo['durationMs']) >= Number(echo['latencyMs']));
    assert.equal(typeof echo['waited'], 'boolean');
    assert.match(String(echo['peer']), /127\.0\.0\.1$/);
  });
});

describe('the ingress switched off', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ application: 'ingress-app', workers: 1, carton: { ingress: { enable: false } } });
  });
  after(() => cluster.stop());

  it('leaves every request to the application', async () => {
    assert.equal((await cluster.request('/oneapi/legacy', { method: 'POST', body: [] })).text, 'the application');
    assert.equal((await cluster.invoke('echo')).status, 404);
    assert.equal((await cluster.request('/shadowed/1')).text, 'the application');
  });
});

/**
 * Functions in unit tests of an application: `mm.app` boots agent and application in one process, and functions run
 * inside of it, so that every mock of a test applies to them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mm from 'egg-mock';
import { FIXTURES } from '../support/cluster';
import { HttpClient } from '../support/http';
import { requestChecks } from './request_checks';
import { closeMocked, mockedApp, type MockedApp } from './mocked_app';

describe('functions in single mode', () => {
  let app: MockedApp;
  before(async () => {
    app = await mockedApp('ingress-app');
  });
  after(() => closeMocked(app));
  afterEach(() => mm.restore());

  describe('behind the application\'s Koa middleware', () => {
    let server: Server;
    let client: HttpClient;
    before(async () => {
      // A server that nobody told the application of: only the middleware can take its requests.
      server = createServer(app.callback()).listen(0, '127.0.0.1');
      await once(server, 'listening');
      client = new HttpClient((server.address() as AddressInfo).port);
    });
    after(() => {
      client.close();
      server.close();
    });

    requestChecks(() => ({ client, port: (server.address() as AddressInfo).port }));
  });

  it('answer app.httpRequest()', async () => {
    await app.httpRequest().post('/oneapi/echo').send([1]).expect(200, [1]);
    await app.httpRequest().get('/pets/3').expect(200, { id: 3, full: false, tag: 'none', trail: 'none' });
    await app.httpRequest().get('/oneapi/echo').expect(405).expect('allow', 'POST');
    await app.httpRequest().get('/pets').expect(200, 'the application');
  });

  describe('app.invokeFunction', () => {
    it('resolves with the result, and gives the user', async () => {
      assert.deepEqual(await app.invokeFunction('echo', ['a', { b: 1 }]), ['a', { b: 1 }]);
      assert.equal(await app.invokeFunction('nothing'), undefined);
      assert.deepEqual(await app.invokeFunction('user.required', [], { user: { id: 'u1' } }), { user: { id: 'u1' } });
    });

    it('takes arguments and gives results that are larger than a frame', async () => {
      assert.equal(await app.invokeFunction('values.length', ['x'.repeat(3_000_000)]), 3_000_000);
      assert.equal(((await app.invokeFunction('values.big', [3_000_000])) as string).length, 3_000_000);
    });

    it('goes on with a trace', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const told = (await app.invokeFunction('context', [], { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })) as { trace: { traceId: string } };
      assert.equal(told.trace.traceId, traceId);
    });

    it('rejects with the errors of the table', async () => {
      await assert.rejects(app.invokeFunction('ecko'), { code: 'CARTON_INGRESS_UNKNOWN_FUNCTION' });
      await assert.rejects(app.invokeFunction('user.required'), { code: 'CARTON_INGRESS_USER_REQUIRED' });
      await assert.rejects(app.invokeFunction('user.none', [], { user: () => 'no JSON' }), { code: 'CARTON_INGRESS_USER_RESOLVER_FAILED' });
      await assert.rejects(app.invokeFunction('echo', [1n]), { code: 'CARTON_RUNTIME_BAD_ARGUMENT' });
      await assert.rejects(app.invokeFunction('values.small', ['x'.repeat(200)]), { code: 'CARTON_INGRESS_BODY_TOO_LARGE' });
      await assert.rejects(app.invokeFunction('until.late'), { code: 'CARTON_RUNTIME_TIMEOUT' });
      await assert.rejects(app.invokeFunction('values.failing', [{ message: 'no', code: 'NO' }]), (error: { code: string; thrown: { code: string } }) => {
        assert.deepEqual([error.code, error.thrown.code], ['CARTON_RUNTIME_FUNCTION_THREW', 'NO']);
        return true;
      });
    });

    it('resolves with an async iterable where the function streams', async () => {
      const items: unknown[] = [];
      for await (const item of (await app.invokeFunction('stream', [3])) as AsyncIterable<unknown>) items.push(item);
      assert.deepEqual([...items], [1, 2, 3]);
      await assert.rejects(async () => {
        for await (const item of (await app.invokeFunction('stream.failing', [1])) as AsyncIterable<unknown>) items.push(item);
      }, { code: 'CARTON_RUNTIME_FUNCTION_THREW' });
      assert.equal(items.length, 4);
    });

    it('takes a stream back whose reader stops early', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'carton-'));
      for await (const item of (await app.invokeFunction('stream.endless', [10, join(directory, 'left')])) as AsyncIterable<string>) {
        assert.equal(item.length, 10);
        break;
      }
      await assert.doesNotReject(async () => {
        while (readdirSync(directory).length === 0) await new Promise((resolve) => setImmediate(resolve));
      });
      rmSync(directory, { recursive: true });
    });

    it('is taken back by its signal: before, while it runs, and in the middle of a stream', async () => {
      await assert.rejects(app.invokeFunction('echo', [], { signal: AbortSignal.abort() }), { code: 'CARTON_RUNTIME_CANCELLED' });
      const directory = mkdtempSync(join(tmpdir(), 'carton-'));
      const runs = new AbortController();
      const running = app.invokeFunction('until.aborted', [join(directory, 'a')], { signal: runs.signal });
      while (readdirSync(directory).length === 0) await new Promise((resolve) => setImmediate(resolve));
      runs.abort();
      await assert.rejects(running, { code: 'CARTON_RUNTIME_CANCELLED' });
      const streams = new AbortController();
      const items = (await app.invokeFunction('stream.endless', [10, join(directory, 'b')], { signal: streams.signal })) as AsyncIterable<unknown>;
      await assert.rejects(async () => {
        for await (const item of items) if (item !== undefined) streams.abort();
      }, { code: 'CARTON_RUNTIME_CANCELLED' });
      while (readdirSync(directory).length < 3) await new Promise((resolve) => setImmediate(resolve));
      rmSync(directory, { recursive: true });
    });

    it('counts with what came over HTTP', async () => {
      const before = app.carton.metrics['limited']?.invocations ?? 0;
      await app.invokeFunction('limited').catch(() => undefined);
      await app.httpRequest().post('/oneapi/limited').send([]);
      assert.ok(((app.carton.metrics['limited']?.invocations ?? 0) - before) >= 1);
    });
  });

  describe('mocks', () => {
    it('of services, as egg-mock makes them, apply', async () => {
      app.mockService('greeter', 'greet', async () => 'mocked');
      assert.equal(((await app.invokeFunction('context')) as { service: string }).service, 'mocked');
      await mm.restore();
      assert.equal(((await app.invokeFunction('context')) as { service: string }).service, 'hello you');
    });

    it('of HTTP clients apply', async () => {
      app.mockHttpclient('http://upstream.example/price', { data: { price: 7 } });
      assert.deepEqual(await app.invokeFunction('context.fetch', ['http://upstream.example/price']), { price: 7 });
    });

    it('as data apply at once, and end with mm.restore()', async () => {
      app.mockFunctionService('greeter', 'greet', 'as data');
      assert.equal(((await app.invokeFunction('context')) as { service: string }).service, 'as data');
      await mm.restore();
      assert.equal(((await app.invokeFunction('context')) as { service: string }).service, 'hello you');
    });

    it('as data end with restoreFunctionServices', async () => {
      app.mockFunctionService('greeter', 'greet', new Error('away'));
      await assert.rejects(app.invokeFunction('context'), (error: { thrown: { message: string } }) => error.thrown.message === 'away');
      app.restoreFunctionServices();
      assert.equal(((await app.invokeFunction('context')) as { service: string }).service, 'hello you');
    });

    it('of what is not there are refused, with the nearest name', () => {
      assert.throws(() => app.mockFunctionService('greter', 'greet', 1), { code: 'CARTON_RUNTIME_UNKNOWN_SERVICE', message: /greeter/ });
      assert.throws(() => app.mockFunctionService('greeter', 'great', 1), { code: 'CARTON_RUNTIME_UNKNOWN_SERVICE', message: /greet/ });
    });
  });
});

describe('applications one after another in one process', () => {
  it('each run their own functions, also at once, and leave nothing behind', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'carton-'));
    const carton = { directory };
    for (let round = 0; round < 2; round += 1) {
      const app = await mockedApp('ingress-app', { config: { greeting: `round ${round}`, carton: { ...carton, functionDefaults: { minInstances: 1, maxInstances: 1 } } } });
      assert.match(((await app.invokeFunction('context')) as { service: string }).service, new RegExp(`^round ${round}`));
      const other = await mockedApp(join(FIXTURES, 'framework-app'), { framework: join(FIXTURES, 'custom-framework'), config: { carton }, plugins: { carton: { enable: true, path: join(FIXTURES, '..') } } });
      assert.deepEqual(await other.invokeFunction('orders', ['1']), [{ id: '1', user: '1', price: '12.00 CNY' }]);
      assert.deepEqual(await app.invokeFunction('echo', ['still here']), ['still here']);
      await closeMocked(other);
      await closeMocked(app);
      assert.deepEqual(readdirSync(directory), []);
    }
    rmSync(directory, { recursive: true });
  });
});

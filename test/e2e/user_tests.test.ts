/**
 * What an application's own tests can do with functions on a cluster, where no mock of the test's process reaches:
 * mocks of services travel as data to every instance, and end with the others.
 */
import assert from 'node:assert/strict';
import mm from 'egg-mock';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'supertest';
import { directoryIn, FIXTURES, left, newHome } from '../support/cluster';
import { environment } from './mocked_app';

interface MockedCluster {
  mockFunctionService(service: string, method: string, result: unknown): void;
  httpRequest(): { post(path: string): Test };
  ready(): Promise<void>;
  close(): Promise<void>;
}

describe('mm.cluster', () => {
  const home = newHome();
  let app: MockedCluster;
  before(async () => {
    const restore = environment({
      EGG_SERVER_ENV: 'unittest', EGG_HOME: home, EGG_APP_CONFIG: JSON.stringify({ rundir: path.join(home, 'run'), carton: { directory: directoryIn(home) } }),
    });
    app = mm.cluster({ baseDir: path.join(FIXTURES, 'ingress-app'), workers: 1, cache: true, coverage: false } as Parameters<typeof mm.cluster>[0]) as unknown as MockedCluster;
    await app.ready();
    restore();
  });
  after(async () => {
    await app.close();
    assert.deepEqual(left(directoryIn(home)), []);
    rmSync(home, { recursive: true, force: true });
  });

  const greeting = async (): Promise<unknown> => {
    const answer = await app.httpRequest().post('/oneapi/context').send([]);
    return (answer.body as { service?: string }).service ?? answer.body;
  };

  it('runs functions in processes of their own', async () => {
    assert.equal(await greeting(), 'hello you');
  });

  it('mocks services in instances that run, and restores them with mm.restore()', async () => {
    app.mockFunctionService('greeter', 'greet', 'mocked');
    assert.equal(await greeting(), 'mocked');
    await mm.restore();
    assert.equal(await greeting(), 'hello you');
  });

  it('mocks them in instances that are launched later', async () => {
    app.mockFunctionService('greeter', 'greet', { any: ['JSON'] });
    const answer = await app.httpRequest().post('/oneapi/other').send(['you']);
    assert.deepEqual(answer.body, { any: ['JSON'] });
    await mm.restore();
    assert.equal((await app.httpRequest().post('/oneapi/other').send(['you'])).body, 'hello you');
  });

  it('mocks errors', async () => {
    app.mockFunctionService('greeter', 'greet', new Error('away'));
    const { error } = (await greeting()) as { error: { code: string; function: { message: string } } };
    assert.deepEqual([error.code, error.function.message], ['CARTON_RUNTIME_FUNCTION_THREW', 'away']);
    await mm.restore();
    assert.equal(await greeting(), 'hello you');
  });

  it('refuses mocks of what is not there', () => {
    assert.throws(() => app.mockFunctionService('greeter', 'great', 1), /there is no such service or method to mock/);
  });
});

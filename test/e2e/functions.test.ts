/**
 * Functions over HTTP on a real cluster: every answer and every error, streams and bodies of any size, and what
 * happens when the caller or the instance goes away in the middle.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { startCluster, type Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { describeWithEach } from '../support/launchers';
import { isRunning } from '../support/processes';
import { begin } from './raw';
import { requestChecks } from './request_checks';

const MIB = 1024 * 1024;

describeWithEach('functions on a cluster', (launcher) => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ application: 'ingress-app', workers: 1, carton: { launcher, ingress: { accessLog: true } } });
  });
  after(() => cluster.stop());

  const said = (file: string): Promise<string> => eventually(`the file ${file}`, () => existsSync(file) && (readFileSync(file, 'utf8') || undefined));
  const residentBytes = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

  requestChecks(() => cluster);

  describe('instances that fail', () => {
    it('leave the caller an error of their own when they die in mid-flight', async () => {
      const answer = await cluster.invoke('crash');
      assert.deepEqual([answer.status, answer.code], [502, 'CARTON_INSTANCE_CRASHED']);
    });

    it('full to their limit let one request wait and refuse the next with Retry-After', async () => {
      const file = cluster.file('narrow');
      const first = cluster.invoke('until.narrow', [file]);
      await said(`${file}.begun`);
      const second = cluster.invoke('until.narrow', [file]);
      // Both arrive on the same worker; which of them waits and which is refused is not decided here.
      const third = cluster.invoke('until.narrow', [file]);
      const refused = await Promise.race([second, third]);
      assert.deepEqual([refused.status, refused.code, refused.headers['retry-after']], [503, 'CARTON_INGRESS_QUEUE_FULL', '1']);
      writeFileSync(file, '');
      assert.deepEqual((await Promise.all([first, second, third])).map((answer) => answer.status).sort(), [200, 200, 503]);
    });
  });

  describe('callers that leave', () => {
    it('abort the function\'s signal', async () => {
      const file = cluster.file('left');
      const socket = await begin(cluster.port, 'until.aborted', JSON.stringify([file]));
      await said(`${file}.begun`);
      socket.destroy();
      assert.equal(await said(file), 'CARTON_RUNTIME_CANCELLED');
    });

    it('in the middle of a small body call nothing', async () => {
      const file = cluster.file('short');
      const body = JSON.stringify([file]);
      const socket = await begin(cluster.port, 'until.aborted', body.slice(0, -1), body.length);
      socket.end();
      socket.resume();
      await once(socket, 'close');
      assert.equal((await cluster.invoke('nothing')).status, 204);
      assert.equal(existsSync(`${file}.begun`), false);
    });

    it('in the middle of a streamed body call nothing', async () => {
      const body = JSON.stringify(['x'.repeat(300_000)]);
      const socket = await begin(cluster.port, 'values.length', body.slice(0, 200_000), body.length);
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
      assert.equal((await cluster.invoke('values.length', ['x'.repeat(300_000)])).text, '300000');
    });

    it('in the middle of a stream end it, and its generator is closed', async () => {
      const file = cluster.file('stream-left');
      const response = await stream('stream.endless', [1000, file]);
      await once(response, 'data');
      response.destroy();
      assert.ok(Number(await said(file)) >= 0);
    });

    it('too slow with their body get an answer at the deadline, and the connection goes on', async () => {
      const socket = await begin(cluster.port, 'until.slow', '["', 6);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.match(answer.toString(), /^HTTP\/1\.1 504 [^]*CARTON_RUNTIME_TIMEOUT/);
      socket.write(`a"]xPOST /oneapi/nothing HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]`);
      const [next] = (await once(socket, 'data')) as [Buffer];
      assert.match(next.toString(), /^HTTP\/1\.1 204 /);
      socket.destroy();
    });
  });

  function stream(name: string, args: readonly unknown[]): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest({ port: cluster.port, host: '127.0.0.1', path: `/oneapi/${name}`, method: 'POST', headers: { 'content-type': 'application/json' }, agent: false });
      sent.once('response', resolve);
      sent.once('error', reject);
      sent.end(JSON.stringify(args));
    });
  }

  describe('backpressure', () => {
    it('stops a stream that nobody reads, and memory stays flat', async () => {
      const file = cluster.file('slow-reader');
      const response = await stream('stream.endless', [64 * 1024, file]);
      await once(response, 'readable');
      const pids = [...cluster.workers, ...cluster.instances('group:shared').map(({ pid }) => pid)];
      const before = pids.map(residentBytes);
      // Others are served meanwhile, thousands of them, so that a function that was not stopped would fill gigabytes.
      for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({ length: 100 }, () => cluster.invoke('nothing')));
      for (const [index, pid] of pids.entries()) assert.ok(residentBytes(pid) - (before[index] as number) < 64 * MIB, `process ${pid} grew`);
      response.destroy();
      // A window, the buffers of two sockets and no more: not what 64 KiB items at full speed would be.
      assert.ok(Number(await said(file)) < 300);
    });

    it('carries a large stream to a reader in bounded memory', async () => {
      const file = cluster.file('large');
      const response = await stream('stream.endless', [64 * 1024, file]);
      const pids = [...cluster.workers, ...cluster.instances('group:shared').map(({ pid }) => pid)];
      let bytes = 0;
      let before: number[] | undefined;
      for await (const chunk of response) {
        bytes += (chunk as Buffer).length;
        if (bytes > 32 * MIB) before ??= pids.map(residentBytes);
        if (bytes > 256 * MIB) break;
      }
      for (const [index, pid] of pids.entries()) assert.ok(residentBytes(pid) - (before?.[index] as number) < 96 * MIB, `process ${pid} grew`);
      await said(file);
    });

    it('streams a body that waits for an instance without reading it ahead', async () => {
      const text = 'x'.repeat(40 * MIB);
      const before = cluster.workers.map(residentBytes);
      assert.equal((await cluster.invoke('values.length', [text])).text, String(text.length));
      for (const [index, pid] of cluster.workers.entries()) assert.ok(residentBytes(pid) - (before[index] as number) < 64 * MIB);
    });

    it('blames a slow reader, not the instance, for a stream that passes its deadline', async () => {
      const shared = cluster.instances('group:shared').map(({ pid }) => pid);
      const response = await stream('stream.brief', [64 * 1024]);
      const line = await eventually('its line in the access log', () =>
        readFileSync(`${cluster.home}/logs/ingress-app/carton-access.log`, 'utf8').split('\n').find((text) => text.includes('stream.brief')));
      assert.deepEqual([(JSON.parse(line) as { code: string }).code, (JSON.parse(line) as { status: number }).status], ['CARTON_RUNTIME_TIMEOUT', 200]);
      response.destroy();
      assert.equal((await cluster.invoke('nothing')).status, 204);
      assert.deepEqual(cluster.instances('group:shared').map(({ pid }) => pid), shared);
    });
  });

  describe('ctx', () => {
    interface Told {
      frozen: boolean; assigned: string; http: string[]; user: unknown; service: string; sameService: boolean;
      invocation: Record<string, unknown>; trace: Record<string, unknown>; config: unknown; signal: unknown;
    }
    const tell = async (headers = {}): Promise<Told> => (await cluster.invoke('context', [], { headers })).json<Told>();

    it('is frozen and knows no HTTP', async () => {
      const told = await tell();
      assert.deepEqual([told.frozen, told.assigned, told.http], [true, 'TypeError', []]);
      assert.deepEqual(told.signal, { aborted: false, event: 'function' });
    });

    it('says which invocation it is', async () => {
      const { invocation } = await tell();
      assert.deepEqual({ ...invocation, id: 0, revision: 0, deadline: 0 }, { id: 0, function: 'context', revision: 0, trigger: 'oneapi', attempt: 1, deadline: 0 });
      assert.match(String(invocation['id']), /^[0-9a-f]{32}$/);
      assert.match(String(invocation['revision']), /^[0-9a-f]{16}$/);
      assert.ok(Math.abs(Number(invocation['deadline']) - Date.now()) < 60_000);
    });

    it('begins a trace, or goes on with the caller\'s', async () => {
      const began = (await tell()).trace;
      assert.match(String(began['traceparent']), new RegExp(`^00-${String(began['traceId'])}-${String(began['spanId'])}-01$`));
      assert.equal(began['parentId'], undefined);
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const went = (await tell({ traceparent: `00-${traceId}-00f067aa0ba902b7-00`, tracestate: 'shop=1' })).trace;
      assert.deepEqual([went['traceId'], went['parentId'], went['sampled'], went['tracestate']], [traceId, '00f067aa0ba902b7', false, 'shop=1']);
      assert.notEqual(went['spanId'], '00f067aa0ba902b7');
    });

    it('has the application\'s services and configuration', async () => {
      const told = await tell();
      assert.deepEqual([told.service, told.sameService, told.config], ['hello you', true, { name: 'ingress-app', greeting: 'hello' }]);
      assert.equal(told.user, 'undefined');
    });

    it('has services that get an error for what only a request has, which names it', async () => {
      for (const property of ['request', 'session', 'cookies', 'headers', 'query', 'ip']) {
        const answer = await cluster.invoke('context.services', [property]);
        assert.deepEqual([answer.status, answer.code], [500, 'CARTON_RUNTIME_CONTEXT_PROPERTY']);
        assert.match(answer.text, new RegExp(`ctx\\.${property}\\b`));
      }
    });

    it('has a logger whose lines name function and invocation, in the application\'s log file', async () => {
      await cluster.invoke('context.log', ['a line of the test']);
      const lines = await eventually('two lines', () => {
        const found = readFileSync(`${cluster.home}/logs/ingress-app/ingress-app-web.log`, 'utf8').split('\n').filter((line) => line.includes('a line of the test'));
        return found.length === 2 && found;
      });
      assert.match(lines[0] as string, /\[context\.log [0-9a-f]{12}\] from the function: a line of the test$/);
      assert.match(lines[1] as string, /\[context\.log [0-9a-f]{12}\].*from the service: a line of the test$/);
    });

    it('waitUntil keeps the instance while work goes on after the answer', async () => {
      const file = cluster.file('background');
      const pid = (await cluster.invoke('background', [file])).json<number>();
      // An idle instance beside it is reclaimed first: so long the idle timeout has passed for both.
      const other = (await cluster.invoke('background', [cluster.file('background')])).json<number>();
      assert.equal(other, pid);
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.equal(isRunning(pid), true);
      writeFileSync(file, '');
      await eventually('the end of the instance', () => !isRunning(pid));
    });
  });
});

/**
 * Guarantees of lib/runtime/sidecar_link.ts, over real sockets.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { listen, sameToken } from '../../lib/rpc/handshake';
import { Remote } from '../../lib/rpc/remote';
import type { ServedCall } from '../../lib/rpc/remote_objects';
import { SidecarLink } from '../../lib/runtime/sidecar_link';
import { systemClock } from '../../lib/support/clock';
import { eventually } from '../support/eventually';
import { ROOT } from '../support/cluster';

const TOKEN = 'a'.repeat(32);
const CLAIMS = JSON.stringify({ instance: '1-1', clients: ['tea'] });
type Serve = (method: string, args: readonly unknown[], call: ServedCall) => unknown;

describe('the line to a sidecar', () => {
  let directory: string;
  let socketPath: string;
  let link: SidecarLink;
  let sidecar: Sidecar | undefined;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'ec-sidecar-'));
    socketPath = path.join(directory, 's');
    link = linkWith();
  });
  afterEach(() => {
    link.close();
    sidecar?.kill();
    rmSync(directory, { recursive: true });
  });

  const linkWith = (token = TOKEN, timeoutMs = 20_000): SidecarLink => new SidecarLink({ name: 'default', socketPath, identity: { token, claims: CLAIMS }, timeoutMs, clock: systemClock });
  const start = async (serve: Serve): Promise<Sidecar> => (sidecar = await Sidecar.start(socketPath, serve));

  it('connects at the first call, once for all', async () => {
    const { sessions } = await start((method, args) => [method, ...args]);
    assert.equal(sessions.length, 0);
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => link.call('tea', 'pour', [n]))), [1, 2, 3].map((n) => ['pour', n]));
    assert.equal(sessions.length, 1);
  });

  it('guarantee 1: a call waits for a sidecar that is not there yet', async () => {
    const call = link.call('tea', 'pour', []);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await start(() => 'tea');
    assert.equal(await call, 'tea');
  });

  it('guarantee 1: a call whose time is over, or that is taken back, before there is one was not sent', async () => {
    await assert.rejects(link.call('tea', 'pour', [], { timeoutMs: 30 }), { code: 'CARTON_SIDECAR_UNAVAILABLE', retryable: true, message: /expected a sidecar at/ });
    const aborting = new AbortController();
    const call = link.call('tea', 'pour', [], { signal: aborting.signal });
    aborting.abort(new RangeError('enough'));
    await assert.rejects(call, RangeError);
    let calls = 0;
    await start(() => (calls += 1));
    assert.equal(await link.call('tea', 'pour', []), 1);
  });

  it('guarantee 1: the time of a call goes on while it waits', async () => {
    const call = link.call('tea', 'pour', [], { timeoutMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await start((_method, _args, { remainingMs }) => remainingMs);
    const remaining = await call as number;
    // Timers may fire a little early.
    assert.ok(remaining > 0 && remaining <= 19_945, `${remaining}`);
  });

  it('guarantee 2: what was sent to a sidecar that is killed fails at once and is not sent again, and the next call finds the next one', async () => {
    let calls = 0;
    const first = await start(() => {
      calls += 1;
      return new Promise(() => undefined);
    });
    const lost = [1, 2, 3].map(() => link.call('tea', 'pour', []));
    await eventually('all are served', () => calls === 3);
    first.kill();
    for (const call of lost) await assert.rejects(call, { code: 'CARTON_SIDECAR_LOST', message: /default: tea\.pour/, retryable: true });
    const next = link.call('tea', 'pour', []);
    await start(() => 'more');
    assert.equal(await next, 'more');
    assert.equal(calls, 3);
  });

  it('says at once what will not change: a token that does not fit', async () => {
    await start(() => 1);
    const stranger = linkWith('b'.repeat(32));
    await assert.rejects(stranger.call('tea', 'pour', []), { code: 'CARTON_RPC_UNAUTHORIZED' });
    stranger.close();
  });

  it('as somebody else, connects anew, and what is under way ends as it began', async () => {
    let answer: (value: unknown) => void = () => undefined;
    const { sessions } = await start((method) => (method === 'wait' ? new Promise((resolve) => (answer = resolve)) : method));
    const waiting = link.call('tea', 'wait', []);
    await eventually('the call', () => sessions[0]?.session.servedCalls === 1);
    link.authorize({ token: TOKEN, claims: CLAIMS });
    assert.equal(await link.call('tea', 'pour', []), 'pour');
    assert.equal(sessions.length, 2);
    answer('at last');
    assert.equal(await waiting, 'at last');
    await eventually('the end of the first session', () => sessions[0]?.session.isClosed);
    assert.equal(sessions[1]?.session.isClosed, false);
    link.authorize({ token: TOKEN, claims: CLAIMS });
    await eventually('the end of the second', () => sessions[1]?.session.isClosed);
  });

  it('disconnects, and connects again for the next call; after its end it does not', async () => {
    const { sessions } = await start((method) => (method === 'wait' ? new Promise(() => undefined) : 1));
    assert.equal(await link.call('tea', 'pour', []), 1);
    const call = link.call('tea', 'wait', []);
    await link.disconnect();
    await assert.rejects(call, { code: 'CARTON_SIDECAR_LOST' });
    assert.equal(await link.call('tea', 'pour', []), 1);
    assert.equal(sessions.length, 2);
    link.close();
    await assert.rejects(link.call('tea', 'pour', []), { code: 'CARTON_SIDECAR_UNAVAILABLE' });
  });

  it('guarantee 3: a process ends although a connection is open', async () => {
    await start(() => 1);
    const program = `
      const { SidecarLink } = require('./lib/runtime/sidecar_link');
      const { systemClock } = require('./lib/support/clock');
      const link = new SidecarLink({ name: 'default', socketPath: ${JSON.stringify(socketPath)}, identity: { token: ${JSON.stringify(TOKEN)}, claims: ${JSON.stringify(CLAIMS)} }, timeoutMs: 5000, clock: systemClock });
      const alive = setTimeout(() => process.exit(7), 10000);
      link.call('tea', 'pour', []).then((value) => { console.log(value); clearTimeout(alive); });
    `;
    const told = await new Promise<[unknown, string]>((resolve) => execFile(process.execPath, ['-e', program], { cwd: ROOT }, (error, stdout) => resolve([error, stdout])));
    assert.deepEqual(told, [null, '1\n']);
  });
});

/** Stands in for a sidecar: offers `tea`. */
class Sidecar {
  readonly sessions: Remote[] = [];
  #server: Server | undefined;
  readonly #path: string;

  private constructor(socketPath: string) {
    this.#path = socketPath;
  }

  static async start(socketPath: string, serve: Serve): Promise<Sidecar> {
    const sidecar = new Sidecar(socketPath);
    sidecar.#server = await listen(socketPath, (token, claims) => (sameToken(token, TOKEN) && claims === CLAIMS ? {
      welcome: {},
      handlers: (session) => {
        const remote = new Remote(session, { clock: systemClock, offers: (name) => (name === 'tea' ? { invoke: serve } : undefined) });
        sidecar.sessions.push(remote);
        return remote.handlers;
      },
    } : undefined));
    return sidecar;
  }

  kill(): void {
    this.#server?.close();
    for (const { session } of this.sessions) session.close();
    rmSync(this.#path, { force: true });
  }
}

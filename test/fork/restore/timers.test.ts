import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextRound } from 'node:timers/promises';
import { restartTimers } from '../../../lib/fork/inside/restore/timers';

/** Far longer than a busy machine keeps a process from running: nothing here depends on how long it takes. */
const DELAY_MS = 400;

describe('timers of a template, in a fork', () => {
  it('start anew, keep what unref said, and stay cancelled', async () => {
    const fired: string[] = [];
    const fire = (name: string): (() => void) => () => void fired.push(name);
    const cleared = setTimeout(fire('cleared'), DELAY_MS);
    const interval = setInterval(fire('interval'), DELAY_MS);
    const silent = setTimeout(fire('unref'), DELAY_MS).unref();
    const over = setTimeout(fire('over'), 0);
    while (fired.length === 0) await nextRound();
    clearTimeout(cleared);
    const done = new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    passTime(2 * DELAY_MS);

    restartTimers([cleared, interval, silent, over]);
    fired.length = 0;
    assert.equal(silent.hasRef(), false);
    assert.equal(interval.hasRef(), true);
    // It was not restarted, so it is overdue and its round is the first.
    await done;
    await nextRound();
    await nextRound();
    assert.deepEqual(fired, []);
    await new Promise<void>((resolve) => setTimeout(resolve, DELAY_MS));
    clearInterval(interval);
    assert.deepEqual(fired, ['interval', 'unref']);
  });

  it('leave Node to forget the second that a Date header is of', async () => {
    const timers: NodeJS.Timeout[] = [];
    const hook = createHook({ init: (_id, type, _trigger, resource) => void (type === 'Timeout' && timers.push(resource as NodeJS.Timeout)) }).enable();
    const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const answered = async (): Promise<string> => (await fetch(url)).headers.get('date') ?? '';
    const before = await answered();
    hook.disable();
    // As a fork of a template that has rested for a while: the next second has begun.
    passTime(3_000);
    restartTimers(timers);
    await nextRound();
    try {
      assert.notEqual(await answered(), before);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

/** As in a template that rests: no timer fires meanwhile. */
function passTime(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

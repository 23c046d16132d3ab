/**
 * Two hundred instances come and go: scheduler and dispatcher, here in one process, keep no descriptor, no zombie and
 * no file of any of them.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createHost, type Host } from '../../lib/entry/bare_host';
import { eventually } from '../support/eventually';
import { descriptorsOf, zombiesBelow } from '../support/processes';

const FUNCTIONS = Array.from({ length: 8 }, (_, index) => `f${index}`);
const ROUNDS = 25;

describe('200 instances that come and go', () => {
  let root: string;
  let host: Host;
  before(async () => {
    root = realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-leak-')));
    mkdirSync(path.join(root, 'app/function'), { recursive: true });
    writeFileSync(path.join(root, 'boot.js'), 'exports.boot = () => ({});');
    for (const name of FUNCTIONS) writeFileSync(path.join(root, 'app/function', `${name}.js`), 'module.exports = async () => process.pid;');
    const silent = (): void => undefined;
    host = await createHost({
      baseDir: root, module: 'boot.js',
      carton: { directory: path.join(root, 's'), functionDefaults: { idleTimeoutMs: 10, timeoutMs: 60_000 } },
      log: { debug: silent, info: silent, warn: silent, error: silent },
    });
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** Files of instances in the host's directory. */
  const files = (): string[] => readdirSync(path.join(root, 's'), { recursive: true }).map(String).filter((name) => /\.(rec|pid)$|\d\.sock$/.test(name));

  async function round(pids: Set<unknown>): Promise<void> {
    for (const pid of await Promise.all(FUNCTIONS.map((name) => host.carton.invoke(name)))) pids.add(pid);
    await eventually('the end of all instances', () => files().length === 0, { seen: files });
  }

  it('leave no descriptor, zombie or file behind', async () => {
    // The first round opens what stays: log files, the pipe of a signal handler.
    await round(new Set());
    await eventually('a quiet moment', () => zombiesBelow(process.pid).length === 0);
    const before = descriptorsOf(process.pid);
    const pids = new Set<unknown>();
    for (let index = 0; index < ROUNDS; index += 1) await round(pids);
    assert.equal(pids.size, ROUNDS * FUNCTIONS.length);
    await eventually('the descriptors to be closed', () => descriptorsOf(process.pid) <= before, { seen: () => ({ before, now: descriptorsOf(process.pid) }) });
    await eventually('no zombies', () => zombiesBelow(process.pid).length === 0, { seen: () => zombiesBelow(process.pid) });
    await host.close();
    assert.deepEqual(readdirSync(path.join(root, 's')), []);
  });
});

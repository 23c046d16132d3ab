/**
 * The hooks that docs/guides/fork.md shows, taken from its text and run in templates and forks: a pool of a client that
 * is not known, and what was read at boot. The pool's package is a small one of this test's, since no real one is
 * installed that forks do not know.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTemplate, type Template } from '../../fork';
import { read } from '../docs/files';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

/** The code below a heading of the guide. */
function exampleOf(heading: string): string {
  const code = read('docs/guides/fork.md').text.split(`### ${heading}\n`)[1]?.split('```')[1]?.replace(/^js\n/, '');
  assert.ok(code !== undefined, heading);
  return code;
}

/** Packages, as an application has them. */
const POOL = `
const net = require('node:net');
exports.Pool = class Pool {
  constructor({ port }) { this.port = port; }
  async query() {
    if (this.hasEnded) throw new Error('Cannot use a pool after calling end on the pool');
    this.socket ??= net.connect(this.port, '127.0.0.1');
    this.socket.write('?');
    return new Promise(resolve => this.socket.once('data', data => resolve(Number(data))));
  }
  async end() {
    this.hasEnded = true;
    if (this.socket === undefined) return;
    const closed = require('node:events').once(this.socket, 'close');
    this.socket.destroy();
    await closed;
  }
};
`;

const POOL_PROGRAM = `
const hooks = require('egg-carton/fork');
const Boot = require('./app');
const app = { carton: hooks, beforeClose() {} };
exports.warm = async ({ port, hasHooks }) => {
  app.config = { pg: { port } };
  if (!hasHooks) app.carton = { onCheckpoint() {} };
  await new Boot(app).didLoad();
};
exports.run = async ({ channel, restored }) => {
  await restored;
  channel.end(JSON.stringify([ await app.pg.query(), await app.pg.query() ]));
  await app.pg.end();
};
`;

/** What the guide leaves to the application. */
const LOAD = 'async function load() { return { by: process.pid }; }\n';

const RATES_PROGRAM = `
const rates = require('./rates');
exports.warm = async () => { await rates.current(); return (await rates.current()).by; };
exports.run = async ({ channel, restored }, warmedBy) => {
  await restored;
  channel.end(JSON.stringify([ warmedBy, (await rates.current()).by, (await rates.current()).by ]));
};
`;

/** A clock that an interval keeps, with the hook that the guide asks for and without it. */
const CLOCK = (hook: string): string => `
const { onCheckpoint } = require('egg-carton/fork');
let [ now, ticks ] = [ Date.now(), 0 ];
setInterval(() => { now = Date.now(); ticks += 1; }, 50).unref();
exports.state = () => ({ now, ticks });
${hook}
`;
const CLOCK_HOOK = 'onCheckpoint({ afterRestore: () => { now = Date.now(); ticks = 0; } });';

const CLOCK_PROGRAM = `
const clock = require('./clock');
exports.warm = async () => {
  while (clock.state().ticks < 2) await new Promise(resolve => setTimeout(resolve, 10));
};
exports.run = async ({ channel, restored }) => {
  await restored;
  const first = clock.state();
  while (clock.state().ticks === first.ticks) await new Promise(resolve => setTimeout(resolve, 10));
  channel.end(JSON.stringify({ first, last: clock.state() }));
};
`;

interface Clock {
  readonly now: number;
  readonly ticks: number;
}

describe('hooks of the guide', () => {
  let directory: string;
  const started: Template[] = [];
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-')));
    mkdirSync(path.join(directory, 'node_modules/pg'), { recursive: true });
    write('node_modules/pg/index.js', POOL);
    symlinkSync(ROOT, path.join(directory, 'node_modules/egg-carton'));
  });
  afterEach(async () => {
    for (const template of started) template.close();
    await eventually('the end of all templates', () => started.every(({ pid }) => !isRunning(pid)));
    started.length = 0;
    rmSync(directory, { recursive: true });
  });

  const write = (file: string, text: string): void => writeFileSync(path.join(directory, file), text);
  async function start(program: string, argument?: unknown): Promise<Template> {
    write('program.js', program);
    const template = await startTemplate({ program: path.join(directory, 'program.js'), argument });
    started.push(template);
    return template;
  }
  async function told<T>(template: Template): Promise<T> {
    const fork = await template.fork(null);
    let text = '';
    fork.channel.on('data', (chunk) => (text += String(chunk)));
    assert.deepEqual(await fork.exited, { code: 0, signal: null }, text);
    return JSON.parse(text) as T;
  }

  describe('for a connection pool of a client that is not known', () => {
    let server: Server;
    let connections: number;
    beforeEach(async () => {
      connections = 0;
      server = createServer((socket) => {
        const number = ++connections;
        socket.on('data', () => socket.write(String(number))).on('error', () => undefined);
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      write('app.js', exampleOf('A connection pool of a client that is not known'));
    });
    afterEach(() => void server.close());
    const port = (): number => (server.address() as AddressInfo).port;

    it('close it in the template, and each fork opens one of its own when it is asked', async () => {
      const template = await start(POOL_PROGRAM, { port: port(), hasHooks: true });
      assert.equal(connections, 1);
      assert.deepEqual(await told(template), [2, 2]);
      assert.deepEqual(await told(template), [3, 3]);
    });

    it('are needed: without them the template refuses, and says who opened it', async () => {
      await assert.rejects(start(POOL_PROGRAM, { port: port(), hasHooks: false }), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'CARTON_FORK_REFUSED');
        assert.match(error.message, new RegExp(`a TCP connection to 127\\.0\\.0\\.1:${port()}, opened by pg \\S*node_modules/pg/index\\.js:\\d+ for \\S*/app\\.js:\\d+`));
        return true;
      });
    });
  });

  it('for what was read at boot: each fork reads it anew, once', async () => {
    write('rates.js', LOAD + exampleOf('A clock or a configuration that was read at boot'));
    const template = await start(RATES_PROGRAM);
    for (let round = 0; round < 2; round += 1) {
      const [warmed, first, second] = await told<number[]>(template);
      assert.equal(warmed, template.pid);
      assert.notEqual(first, template.pid);
      assert.equal(second, first);
    }
  });

  it('for a clock that an interval keeps: it is right in a fork from the start, and ticks on', async () => {
    write('clock.js', CLOCK(CLOCK_HOOK));
    const template = await start(CLOCK_PROGRAM);
    for (let round = 0; round < 2; round += 1) {
      const asked = Date.now();
      const { first, last } = await told<{ first: Clock; last: Clock }>(template);
      assert.ok(first.now >= asked);
      assert.equal(first.ticks, 0);
      assert.ok(last.now >= first.now && last.ticks > first.ticks);
    }
  });

  it('are needed for that: without them each fork begins with the clock of the template, which stands still', async () => {
    write('clock.js', CLOCK(''));
    const template = await start(CLOCK_PROGRAM);
    const asked = Date.now();
    const [one, other] = [await told<{ first: Clock }>(template), await told<{ first: Clock }>(template)];
    assert.deepEqual(one.first, other.first);
    assert.ok(one.first.now <= asked);
  });
});

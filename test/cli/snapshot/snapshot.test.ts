/**
 * `egg-carton snapshot` as a process, on a copy of a small application: what it builds, verifies, refuses and says, and
 * that a host uses what it built.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { TEMPLATE_FLAGS } from '../../../lib/fork/flags';
import { Cluster, environmentOf, FIXTURES, freePort, newHome, ROOT } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { MARK, processesOf } from '../../support/processes';

const BIN = path.join(ROOT, 'bin/egg-carton.js');

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

interface Run {
  readonly args?: readonly string[];
  readonly flags?: readonly string[];
  /** Undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Is called once something was printed that contains `at`. */
  readonly interrupt?: { readonly at: string; readonly signal: NodeJS.Signals };
}

describe('egg-carton snapshot', () => {
  let home: string;
  let baseDir: string;

  before(() => {
    home = fs.realpathSync(newHome());
  });

  beforeEach(() => {
    baseDir = fs.mkdtempSync(path.join(home, 'app-'));
    fs.cpSync(path.join(FIXTURES, 'bench-app'), baseDir, { recursive: true });
    write('package.json', '{ "name": "shop", "dependencies": { "egg": "3" } }\n');
    fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(baseDir, 'node_modules'));
  });

  afterEach(() => fs.rmSync(baseDir, { recursive: true, force: true }));
  after(() => fs.rmSync(home, { recursive: true, force: true }));

  function write(file: string, content: string): void {
    fs.mkdirSync(path.dirname(path.join(baseDir, file)), { recursive: true });
    fs.writeFileSync(path.join(baseDir, file), content);
  }

  async function run({ args = [], flags = [], env = {}, interrupt }: Run = {}): Promise<Ended> {
    const child = spawn(process.execPath, [...flags, BIN, 'snapshot', ...args], {
      cwd: baseDir,
      env: { ...process.env, EGG_HOME: home, NODE_ENV: undefined, EGG_SERVER_ENV: undefined, EGG_SERVER_SCOPE: 'carton', EGG_CARTON_SNAPSHOT_DIR: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const printed = { out: '', error: '' };
    child.stderr.on('data', (chunk: Buffer) => (printed.error += chunk.toString('utf8')));
    child.stdout.on('data', (chunk: Buffer) => {
      printed.out += chunk.toString('utf8');
      if (interrupt !== undefined && printed.out.includes(interrupt.at)) child.kill(interrupt.signal);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...printed };
  }

  const stored = (environment = 'carton_prod'): string[] => fs.readdirSync(path.join(baseDir, '.carton', environment)).sort();

  it('builds both snapshots, says how far it is, and what they hold', async () => {
    const { code, out, error } = await run();
    assert.equal(code, 0, error);
    assert.equal(error, '');
    const steps = /^Building the snapshots of shop for the environment "prod", scope "carton"\nNODE_ENV=production was set, as egg-scripts does\.\n\nhost: booting the application\n(?:.*\n)*?host: done in [\d.]+ s\nfunction: booting the application\n(?:.*\n)*?function: done in [\d.]+ s\n\n/;
    assert.match(out, steps);
    assert.match(out.replace(steps, ''), /^ +host +function\nsize +[\d.]+ MB +[\d.]+ MB\n(?:.*\n){4}delayed requests +0 +\d+\n\nhost {6}\.carton\/carton_prod\/[0-9a-f]{64}\.snapshot\nfunction {2}\.carton\/carton_prod\/[0-9a-f]{64}\.snapshot\n/);
    assert.ok(!out.includes('\u001b'), 'no colors for a pipe');
    const files = stored();
    assert.deepEqual(files.filter((name) => name.endsWith('.json')), ['function.json', 'host.json']);
    assert.equal(files.length, 4);
  });

  it('builds that of the host alone where the plugin is not enabled, and says so', async () => {
    const { code, out, error } = await run({ env: { EGG_SERVER_SCOPE: undefined } });
    assert.equal(code, 0, error);
    assert.match(out, /Functions have no snapshot: the plugin "carton" is not enabled in the environment "prod"\.\n$/);
    assert.deepEqual(stored('prod').filter((name) => name.endsWith('.json')), ['host.json']);
  });

  for (const [title, env, file] of [
    ['EGG_SERVER_ENV', { EGG_SERVER_ENV: 'pre' }, undefined],
    ['config/env', {}, 'pre\n'],
  ] as const) {
    it(`sets NODE_ENV=production where ${title} alone names the environment, as egg-scripts does`, async () => {
      if (file !== undefined) write('config/env', file);
      write('agent.js', "require('fs').appendFileSync(`${__dirname}/node-env`, `${process.env.NODE_ENV}\\n`);\n");
      const { code, out, error } = await run({ env });
      assert.equal(code, 0, error);
      assert.match(out, /^Building the snapshots of shop for the environment "pre", scope "carton"\nNODE_ENV=production was set, as egg-scripts does\.\n\n/);
      assert.equal(fs.readFileSync(path.join(baseDir, 'node-env'), 'utf8').split('\n')[0], 'production');
    });
  }

  it('leaves a NODE_ENV alone that is set', async () => {
    const { code, out } = await run({ env: { NODE_ENV: 'development', EGG_SERVER_ENV: 'prod' } });
    assert.equal(code, 0);
    assert.doesNotMatch(out, /NODE_ENV/);
  });

  it('preloads in both recordings what egg-scripts preloads, and not its own module', async () => {
    write('package.json', JSON.stringify({ name: 'shop', dependencies: { egg: '3' }, egg: { typescript: true }, eggScriptsConfig: { require: ['egg-carton/register', './preload.js'] } }));
    write('preload.js', "const { argv, execArgv } = process;\nrequire('fs').appendFileSync(`${__dirname}/preloads`, `${JSON.stringify([require('path').basename(argv[1] ?? ''), execArgv])}\\n`);\n");
    const { code, error } = await run();
    assert.equal(code, 0, error);
    const flags = ['--require', path.join(baseDir, 'preload.js'), '--require', require.resolve('source-map-support/register')];
    const lines = fs.readFileSync(path.join(baseDir, 'preloads'), 'utf8').trim().split('\n');
    assert.deepEqual(lines.map((line) => JSON.parse(line) as unknown), [['recording_process.js', flags], ['recording_process.js', [...TEMPLATE_FLAGS, ...flags]]]);
  });

  it('builds what a host uses that is started without naming an environment', async () => {
    write('app.js', "module.exports = (app) => app.router.get('/served', (ctx) => { ctx.body = String(globalThis[Symbol.for('egg-carton.registration')]?.replay?.served); });\n");
    write('app/function/loading.js', 'const { snapshot, argument } = JSON.parse(process.argv[2]);\nmodule.exports = async () => snapshot ?? argument.snapshot;\n');
    assert.equal((await run()).code, 0);
    const cluster = await startHost(baseDir);
    try {
      assert.ok(Number((await cluster.request('/served')).text) > 500);
      const { path: used } = JSON.parse((await cluster.invoke('loading', [])).text) as { path: string };
      assert.ok(stored().includes(path.basename(used)));
      assert.doesNotMatch(cluster.logs + cluster.output, /without a snapshot|\[egg-carton\]|built a snapshot/);
      await cluster.stop();
    } finally {
      await cluster.destroy();
    }
  });

  describe('--verify', () => {
    it('says of each role that all is as on disk', async () => {
      await run();
      const before = stored();
      const { code, out, error } = await run({ args: ['--verify'] });
      assert.equal(code, 0, error);
      assert.match(out, /\n✓ host {6}as on disk: \.carton\/carton_prod\/[0-9a-f]{64}\.snapshot\n✓ function {2}as on disk: \.carton\/carton_prod\/[0-9a-f]{64}\.snapshot\n$/);
      assert.deepEqual(stored(), before);
    });

    it('names what differs, a file of the same length and a new one, with CARTON_SNAPSHOT_STALE', async () => {
      await run();
      const config = fs.readFileSync(path.join(baseDir, 'config/config.default.js'), 'utf8');
      write('config/config.default.js', config.replace('bench-app-keys', 'bench-app-keyz'));
      write('app/service/late.js', "module.exports = require('egg').Service;\n");
      const { code, out, error } = await run({ args: ['--verify'] });
      assert.equal(code, 1);
      for (const role of ['host', 'function']) {
        assert.ok(out.includes(`✗ ${role}\n    config/config.default.js: another content\n    app/service: ["late.js"] instead of []\n`), out);
        assert.match(error, new RegExp(`^CARTON_SNAPSHOT_STALE: .*role "${role}".*got 2 differences`, 'm'));
      }
    });

    it('names at most fifty differences, and says how many more there are', async () => {
      for (let i = 0; i < 60; i += 1) write(`app/service/s${i}.js`, "module.exports = require('egg').Service;\n");
      await run();
      for (let i = 0; i < 60; i += 1) write(`app/service/s${i}.js`, "module.exports = require('egg').Servic;;\n");
      const { code, out } = await run({ args: ['--verify'] });
      assert.equal(code, 1);
      const [, host = ''] = /✗ host\n((?: {4}.*\n)+)/.exec(out) ?? [];
      const lines = host.trimEnd().split('\n');
      assert.equal(lines.length, 51);
      assert.equal(lines.at(-1), '    and 10 more');
    });

    it('names the key that differs under other flags, and looks at both roles', async () => {
      await run();
      const { code, error } = await run({ args: ['--verify'], flags: ['--max-old-space-size=300'] });
      assert.equal(code, 1);
      assert.match(error, /^CARTON_SNAPSHOT_MISMATCH: role "host": .*key "v8".*\nCARTON_SNAPSHOT_MISMATCH: role "function": .*key "v8"/);
    });

    it('ends with CARTON_SNAPSHOT_MISSING where none was built', async () => {
      const { code, error } = await run({ args: ['--verify'] });
      assert.equal(code, 1);
      assert.match(error, /^CARTON_SNAPSHOT_MISSING: .*\/\.carton\/carton_prod, got none/);
    });
  });

  for (const [title, env, file, message] of [
    ['NODE_ENV', { NODE_ENV: 'development' }, undefined, /got "local" by NODE_ENV=development\. Set EGG_SERVER_ENV=prod\./],
    ['EGG_SERVER_ENV', { EGG_SERVER_ENV: 'unittest', NODE_ENV: 'production' }, undefined, /got "unittest" by EGG_SERVER_ENV=unittest\. Set EGG_SERVER_ENV=prod\./],
    ['config/env', { EGG_SERVER_ENV: 'prod' }, 'local\n', /got "local" by config\/env\. Write prod into config\/env/],
  ] as const) {
    it(`refuses an environment of development that ${title} names`, async () => {
      if (file !== undefined) write('config/env', file);
      for (const args of [[], ['--verify']]) {
        const { code, out, error } = await run({ env, args });
        assert.equal(code, 2);
        assert.equal(out, '');
        assert.match(error, /^CARTON_CLI_BAD_USAGE: /);
        assert.match(error, message);
      }
    });
  }

  it('does not take another directory for an application', async () => {
    const { code, error } = await run({ args: [os.tmpdir()] });
    assert.equal(code, 1);
    assert.match(error, /^CARTON_CLI_NOT_AN_APPLICATION: .*got no package\.json/);
  });

  it('tells where an application fails that does not boot, and stores nothing', async () => {
    write('app.js', "module.exports = class {\n  async didLoad() {\n    throw new TypeError('no such database');\n  }\n};\n");
    const { code, error } = await run();
    assert.equal(code, 1);
    assert.match(error, /^CARTON_SNAPSHOT_BUILD_FAILED: .*\(shop\): .*TypeError: no such database\n {4}at .*app\.js:3:11\)/);
    assert.ok(!fs.existsSync(path.join(baseDir, '.carton')));
  });

  it('ends with CARTON_SNAPSHOT_NOT_WRITTEN where the directory is none', async () => {
    const { code, error } = await run({ env: { EGG_CARTON_SNAPSHOT_DIR: path.join(baseDir, 'package.json') } });
    assert.equal(code, 1);
    assert.match(error, /^CARTON_SNAPSHOT_NOT_WRITTEN: /);
  });

  for (const [signal, expected] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    it(`ends what it started at ${signal}, with exit code ${expected}`, async () => {
      const mark = randomBytes(8).toString('hex');
      write('agent.js', "module.exports = (agent) => agent.beforeStart(() => new Promise((resolve) => setTimeout(resolve, 60_000)));\n");
      const { code, error } = await run({ env: { [MARK]: mark }, interrupt: { at: 'booting the application', signal } });
      assert.equal(code, expected);
      assert.equal(error, '');
      await eventually('the end of the recording', () => processesOf(mark).length === 0, { seen: () => processesOf(mark) });
    });
  }
});

/** As an operator starts it, whose environment is named by NODE_ENV only. */
async function startHost(baseDir: string): Promise<Cluster> {
  const [home, port, mark] = [newHome(), await freePort(), randomBytes(8).toString('hex')];
  const options = { framework: path.join(baseDir, 'node_modules/egg'), baseDir, workers: 1, port, require: ['egg-carton/register'] };
  const child = spawn(process.execPath, [require.resolve('egg-scripts/lib/start-cluster'), JSON.stringify(options)], {
    cwd: baseDir,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: environmentOf({ environment: { EGG_SERVER_ENV: undefined, EGG_SERVER_SCOPE: 'carton' } }, home, mark),
  });
  const cluster = new Cluster(child, { home, port, mark });
  await new Promise<void>((resolve) => {
    child.on('message', (message: { action?: string }) => {
      if (message.action === 'egg-ready') resolve();
    });
    child.once('exit', () => resolve());
  });
  return cluster;
}

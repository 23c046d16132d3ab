/**
 * The way to production with snapshots: `egg-carton snapshot`, then `egg-scripts start` of an application whose
 * package.json has egg-scripts preload `egg-carton/register`. No environment is named, as on most machines.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { environmentOf, FIXTURES, freePort, newHome, ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http';
import { processesOf } from '../support/processes';

const SCRIPTS = require.resolve('egg-scripts/bin/egg-scripts.js');
const CARTON = path.join(ROOT, 'bin/egg-carton.js');

interface Loading {
  readonly isRegistered: boolean;
  readonly served: number;
  readonly isPreloaded: boolean;
  readonly execArgv: readonly string[];
  readonly loadsRegister: boolean;
}

describe('egg-scripts start after egg-carton snapshot', () => {
  let home: string;
  let baseDir: string;
  let env: NodeJS.ProcessEnv;
  let mark: string;
  beforeEach(() => {
    home = realpathSync(newHome());
    baseDir = path.join(home, 'app');
    mark = randomBytes(8).toString('hex');
    cpSync(path.join(FIXTURES, 'snapshot-start'), baseDir, { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(baseDir, 'node_modules'));
    env = environmentOf({ carton: { snapshot: { build: true } }, environment: { NODE_ENV: undefined, EGG_SERVER_ENV: undefined, EGG_SERVER_SCOPE: undefined, EGG_CARTON_SNAPSHOT_DIR: undefined } }, home, mark);
  });
  afterEach(async () => {
    for (const { pid } of processesOf(mark)) process.kill(pid, 'SIGKILL');
    await eventually('the end of all', () => processesOf(mark).length === 0);
    rmSync(home, { recursive: true, force: true });
  });

  function run(args: readonly string[], cwd: string): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [...args], { cwd, env }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout + stderr);
        else reject(new Error(`${error.message}\n${stdout}${stderr}`));
      });
    });
  }

  const stored = (): string[] => readdirSync(path.join(baseDir, '.carton/prod')).sort();

  /** Starts a daemon from `cwd`, asks each kind of process how it was loaded, and stops it. */
  async function startFrom(cwd: string): Promise<{ agent: Loading; worker: Loading; instance: Loading & { snapshot: { path: string } | null }; printed: string }> {
    const [title, port] = [`carton-test-${mark}`, await freePort()];
    const outputs = ['stdout', 'stderr'].map((name) => path.join(home, `${name}.log`));
    const client = new HttpClient(port);
    try {
      // It takes any output on stderr while starting for a failure.
      await run([SCRIPTS, 'start', '--daemon', `--title=${title}`, `--port=${port}`, '--workers=1', `--stdout=${outputs[0]}`, `--stderr=${outputs[1]}`, baseDir], cwd);
      const worker = JSON.parse((await client.request('/loading')).text) as Loading;
      const instance = JSON.parse((await client.invoke('loading')).text) as Loading & { snapshot: { path: string } | null };
      const agent = JSON.parse(readFileSync(path.join(home, 'run/agent-loading.json'), 'utf8')) as Loading;
      assert.deepEqual(processesOf(mark).filter(({ commandLine }) => commandLine.includes('recording_process')), [], 'something is built');
      client.close();
      await run([SCRIPTS, 'stop', `--title=${title}`], cwd);
      await eventually('the end of all', () => processesOf(mark).length === 0, { seen: () => processesOf(mark) });
      return { agent, worker, instance, printed: [...outputs, ...logsOf(home)].map((file) => readFileSync(file, 'utf8')).join('') };
    } finally {
      client.close();
    }
  }

  async function expectServed(cwd: string): Promise<void> {
    await run([CARTON, 'snapshot', baseDir], cwd);
    const built = stored();
    const { agent, worker, instance, printed } = await startFrom(cwd);
    for (const one of [agent, worker]) {
      assert.ok(one.served > 500, `${one.served} modules from the snapshot`);
      assert.deepEqual([one.isPreloaded, one.loadsRegister], [true, true]);
    }
    assert.ok(built.includes(path.basename(instance.snapshot?.path ?? '')), 'the function has its own snapshot');
    assert.deepEqual([instance.isRegistered, instance.isPreloaded, instance.loadsRegister], [false, true, false]);
    assert.deepEqual(instance.execArgv.filter((flag) => /register/.test(flag)), []);
    assert.match(printed, /functions start from the snapshot/);
    assert.doesNotMatch(printed, /built a snapshot|without a snapshot|\[egg-carton\]/);
    assert.deepEqual(stored(), built);
  }

  it('loads agent, worker and functions from the snapshots, from whatever working directory it is started', async () => {
    await expectServed(home);
  });

  it('does so, too, where package.json names the module, from the application', async () => {
    const file = path.join(baseDir, 'package.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('./node_modules/egg-carton/register.js', 'egg-carton/register'));
    await expectServed(baseDir);
  });
});

function logsOf(home: string): string[] {
  const root = path.join(home, 'logs');
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

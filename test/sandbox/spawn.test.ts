/**
 * The launcher contract (lib/sandbox/launcher.ts), held by the `spawn` launcher with real processes.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hostProcessOf } from '../../lib/support/host_process';
import type { HostLog, HostProcess } from '../../lib/support/host_environment';
import type { InstanceBoot } from '../../lib/protocol/control';
import { inheritedFlags } from '../../lib/sandbox/flags';
import { SpawnLauncher, type SpawnOptions } from '../../lib/sandbox/spawn';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

const SILENT: HostLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
/** A launch needs none: it travels over the channel later. */
const BOOT = {} as InstanceBoot;

describe('the spawn launcher', () => {
  let directory: string;
  let launcher: SpawnLauncher;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-spawn-')));
  });
  afterEach(async () => {
    await launcher.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Launches processes that run `program` instead of serving. */
  function launching(program: string, over: Partial<SpawnOptions> = {}): SpawnLauncher {
    const entry = path.join(directory, 'entry.js');
    writeFileSync(entry, program);
    launcher = new SpawnLauncher({
      entry, execArgv: [], spares: 0, log: SILENT,
      process: {
        application: { kind: 'module', name: 'app', baseDir: directory, entry, options: {}, disabledPlugins: [] },
        hostProcess: hostProcessOf(process.pid), development: false,
      },
      ...over,
    });
    return launcher;
  }

  it('guarantee 1: launch resolves with a channel as soon as the process exists, however long it boots', async () => {
    const sandbox = await launching('setInterval(() => undefined, 1000)').launch(BOOT);
    assert.ok(isRunning(sandbox.pid));
    assert.ok(sandbox.channel.writable);
    sandbox.kill();
    assert.deepEqual(await sandbox.exited, { code: null, signal: 'SIGKILL' });
  });

  it('guarantee 2: exited comes after the last byte of the channel', async () => {
    const sandbox = await launching(`
      const channel = new (require('node:net').Socket)({ fd: 3, readable: true, writable: true });
      channel.write(Buffer.alloc(3_000_000), () => process.exit(7));
    `).launch(BOOT);
    let bytes = 0;
    sandbox.channel.on('data', (chunk: Buffer) => (bytes += chunk.length));
    assert.deepEqual(await sandbox.exited, { code: 7, signal: null });
    assert.equal(bytes, 3_000_000);
  });

  it('guarantee 2: exited comes, too, when the process is killed from outside or ends before it has read', async () => {
    const killed = await launching('setInterval(() => undefined, 1000)').launch(BOOT);
    killed.channel.resume();
    process.kill(killed.pid, 'SIGTERM');
    assert.deepEqual(await killed.exited, { code: null, signal: 'SIGTERM' });
    const short = await launching('process.exit(3)').launch(BOOT);
    short.channel.on('error', () => undefined);
    short.channel.resume();
    short.channel.write(Buffer.alloc(10));
    assert.equal((await short.exited).code, 3);
  });

  it('guarantee 4: kill after the exit does nothing', async () => {
    const sandbox = await launching('process.exit(0)').launch(BOOT);
    sandbox.channel.resume();
    await sandbox.exited;
    sandbox.kill();
    sandbox.kill();
    assert.deepEqual(await sandbox.exited, { code: 0, signal: null });
  });

  for (const [how, program] of [['killed', 'setInterval(() => undefined, 1000);'], ['it ends by itself', 'setTimeout(() => process.exit(0), 50);']] as const) {
    it(`ends what the process has started, when ${how}`, async () => {
      const sandbox = await launching(`
        const { pid } = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
        require('node:fs').writeSync(3, String(pid));
        ${program}
      `).launch(BOOT);
      const [text] = (await once(sandbox.channel, 'data')) as [Buffer];
      sandbox.channel.resume();
      if (how === 'killed') sandbox.kill();
      await sandbox.exited;
      await eventually('its end', () => !isRunning(Number(text.toString())));
    });
  }

  it('rejects with CARTON_INSTANCE_LAUNCH_FAILED where no process can be made', async () => {
    const missing = path.join(directory, 'gone');
    const broken = launching('', {
      process: {
        application: { kind: 'module', name: 'app', baseDir: missing, entry: missing, options: {}, disabledPlugins: [] },
        hostProcess: hostProcessOf(process.pid), development: false,
      },
    });
    await assert.rejects(broken.launch(BOOT), { code: 'CARTON_INSTANCE_LAUNCH_FAILED' });
  });

  it('hands a spare out once, replaces it when told so, and ends only spares when it is closed', async () => {
    launching('setInterval(() => undefined, 1000)', { spares: 1 });
    launcher.replenish();
    launcher.replenish();
    const first = await launcher.launch(BOOT);
    const second = await launcher.launch(BOOT);
    assert.notEqual(first.pid, second.pid);
    launcher.replenish();
    launcher.refresh(Date.now());
    await launcher.close();
    launcher.replenish();
    assert.ok(isRunning(first.pid) && isRunning(second.pid));
    for (const sandbox of [first, second]) {
      sandbox.channel.resume();
      sandbox.kill();
      await sandbox.exited;
    }
  });

  describe('guarantee 3', () => {
    let host: ChildProcess;
    beforeEach(async () => {
      host = spawn('sleep', ['1000'], { stdio: 'ignore' });
      await once(host, 'spawn');
      launching('');
    });
    afterEach(() => void host.kill('SIGKILL'));

    it('an instance outlives the process that launched it, and ends once its grace is over', async () => {
      const pid = await orphaned(directory, hostProcessOf(host.pid as number), 300);
      await eventually('its end', () => !isRunning(pid));
    });

    it('an instance ends with its host, whoever launched it', async () => {
      const pid = await orphaned(directory, hostProcessOf(host.pid as number), 600_000);
      assert.ok(isRunning(pid));
      host.kill('SIGKILL');
      await eventually('its end', () => !isRunning(pid));
    });
  });

  it('takes over the flags of its process, but not those that name another program', () => {
    assert.deepEqual(inheritedFlags(['--no-warnings', '-e', 'code', '--inspect-brk=0', '-r', 'hook', '--test', '--watch-path=x', '--print', '1']), ['--no-warnings', '-r', 'hook']);
    launching('');
  });
});

/** Launches an instance from a process that is then killed; resolves with the instance's pid once that has happened. */
async function orphaned(directory: string, host: HostProcess, agentGraceMs: number): Promise<number> {
  mkdirSync(path.join(directory, 'app/function'), { recursive: true });
  writeFileSync(path.join(directory, 'app/function/f.js'), 'module.exports = async () => 1;');
  writeFileSync(path.join(directory, 'boot.js'), 'exports.boot = () => ({});');
  const application = { kind: 'module', name: 'app', baseDir: directory, entry: path.join(directory, 'boot.js'), options: {}, disabledPlugins: [] };
  const limits = { concurrency: 1, minInstances: 0, maxInstances: 1, idleTimeoutMs: 60_000 };
  const boot = {
    id: '1-1', revision: 'r', group: { key: 'f', functions: ['f'], ...limits },
    functions: [{ name: 'f', file: 'app/function/f', exportName: 'default', triggers: [], group: 'f', auth: 'none', timeoutMs: 1000, queueLimit: 1, bodyLimitBytes: 1, rateLimit: null, idempotent: false, ...limits }],
    socketPath: path.join(directory, 'i.sock'), recordPath: path.join(directory, 'i.rec'),
    callToken: '0'.repeat(32), controlToken: '1'.repeat(32), agentGraceMs, drainTimeoutMs: 100, mocks: [],
  };
  const program = `
    const root = process.argv[1];
    const { SpawnLauncher } = require(root + '/lib/sandbox/spawn.js');
    const { LiveInstance } = require(root + '/lib/scheduler/live_instance.js');
    const { systemClock } = require(root + '/lib/support/clock.js');
    const [boot, boots] = JSON.parse(process.argv[2]);
    new SpawnLauncher({ entry: root + '/lib/entry/function_process.js', execArgv: [], process: boots, spares: 0, log: console }).launch(boot).then((sandbox) => {
      const none = () => undefined;
      LiveInstance.launched(sandbox, boot, systemClock, {
        onReady: (instance) => console.log('ready ' + instance.pid), onLoad: none, onStale: none, onEnded: (_, end) => console.log('ended', end),
      });
    });
  `;
  const agent = spawn(process.execPath, ['-e', program, '--', ROOT, JSON.stringify([boot, { application, hostProcess: host, development: false, snapshot: null, compileCache: null }])], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  agent.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const pid = await eventually('it to be ready', () => Number(/ready (\d+)/.exec(text)?.[1] ?? 0) || undefined, { seen: () => text });
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  return pid;
}

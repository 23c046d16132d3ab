/**
 * A host for end-to-end tests: a fixture application under a real egg-cluster, as a tree of real processes on a free
 * port, with directories of its own. `stop` ends it and asserts that nothing of it is left.
 *
 *     const cluster = await startCluster({ application: 'fault-app', workers: 2, carton: { maxInstances: 4 } });
 *     const answer = await cluster.invoke('cold', ['x']);
 *     await cluster.stop();
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CartonConfig, FunctionDefaults, IngressConfig, SnapshotConfig } from '../../lib/support/host_environment';
import { eventually } from './eventually';
import { HttpClient, type Answer, type RequestOptions } from './http';
import { isRunning, MARK, processesOf, type HostProcessInfo } from './processes';

export const ROOT = path.resolve(__dirname, '../..');
export const FIXTURES = path.join(ROOT, 'fixtures');

/** Overrides of `config.carton`, merged below the plugin's and the application's own. JSON only. */
export type CartonOverrides = Partial<Omit<CartonConfig, 'functionDefaults' | 'ingress' | 'resolveUser' | 'snapshot'>> & {
  readonly snapshot?: Partial<SnapshotConfig>;
  readonly functionDefaults?: Partial<FunctionDefaults>;
  readonly ingress?: Partial<IngressConfig>;
};

export interface ClusterOptions {
  /** A folder of `fixtures/`, or an absolute path. */
  readonly application: string;
  /** @default Egg itself */
  readonly framework?: string;
  /** @default 2 */
  readonly workers?: number;
  /** Egg's environment (EGG_SERVER_ENV). @default 'prod' */
  readonly env?: string;
  readonly carton?: CartonOverrides;
  /** Overrides of Egg's configuration besides `carton`. JSON only. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Variables on top of this process's; undefined takes one away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** egg-cluster's list of modules that agent and workers load first. */
  readonly require?: readonly string[];
  /** Directory to use again after a host that left something behind; one of its own otherwise. */
  readonly home?: string;
}

export class Cluster {
  /** Holds everything that the host writes: sockets, logs, run files; `files` is free for the test's own. */
  readonly home: string;
  readonly port: number;
  readonly client: HttpClient;
  readonly #child: ChildProcess;
  readonly #mark: string;
  readonly #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #output = '';
  #told = false;

  /** For `startCluster` only. */
  constructor(child: ChildProcess, { home, port, mark }: { home: string; port: number; mark: string }) {
    this.home = home;
    this.port = port;
    this.client = new HttpClient(port);
    this.#child = child;
    this.#mark = mark;
    this.#exit = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString('utf8')));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** `carton.directory`: each host has a directory inside. */
  get directory(): string {
    return directoryIn(this.home);
  }

  /** What all processes printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Egg's common-error.log and everything else that its loggers wrote. */
  get logs(): string {
    const root = path.join(this.home, 'logs');
    if (!existsSync(root)) return '';
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return files.map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'utf8')).join('');
  }

  processes(): HostProcessInfo[] {
    return processesOf(this.#mark);
  }

  get master(): number {
    return this.#child.pid as number;
  }

  /** The agent's pid, or undefined while there is none. */
  get agent(): number | undefined {
    return this.processes().find((info) => info.kind === 'agent')?.pid;
  }

  get workers(): number[] {
    return this.processes().filter((info) => info.kind === 'worker').map((info) => info.pid);
  }

  /** Function processes, of one group if it is given. One that was not told its group yet has group ''. */
  instances(group?: string): HostProcessInfo[] {
    return this.processes().filter((info) => info.kind === 'instance' && (group === undefined || info.group === group));
  }

  /** Resolves once the host forks from the template that it will keep; with a fork ahead, if it makes any. */
  async prepared({ ahead = true } = {}): Promise<void> {
    await eventually('the template that stays', () => {
      const all = this.processes();
      const kept = all.some(({ kind, commandLine }) => kind === 'template' && commandLine.startsWith('egg-carton: template of'));
      return kept && !all.some(({ commandLine }) => commandLine.includes('quick template')) && (!ahead || all.some(({ kind }) => kind === 'ahead'));
    }, { seen: () => this.processes() });
  }

  request(target: string, options?: RequestOptions): Promise<Answer> {
    return this.client.request(target, options);
  }

  /** Calls a function through the `oneapi` trigger. */
  invoke(name: string, args?: readonly unknown[], options?: RequestOptions): Promise<Answer> {
    return this.client.invoke(name, args, options);
  }

  /** A path for a file of the test's own. */
  file(name: string): string {
    return path.join(this.home, name);
  }

  /** Kills one process at once, and waits until it is gone. */
  async kill(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    await eventually(`the end of process ${pid}`, () => !isRunning(pid));
  }

  /** Tells the master to stop, as an operator would; once, because it dies of a second SIGTERM. */
  terminate(): void {
    if (this.#told || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#told = true;
    process.kill(this.master, 'SIGTERM');
  }

  /** Resolves when the master has ended. */
  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#exit;
  }

  /** Resolves when no process of the host is left, however it ended. */
  async gone(deadlineMs?: number): Promise<void> {
    await eventually('the end of all processes of the host', () => this.processes().length === 0, {
      deadlineMs, seen: () => this.processes().map(({ pid, kind, commandLine }) => [pid, kind, commandLine.slice(0, 80)]),
    });
  }

  /**
   * Ends the host as an operator would, by SIGTERM to its master, and asserts that it ended well and that no process,
   * socket or directory is left. Removes `home`.
   */
  async stop(): Promise<void> {
    this.client.close();
    this.terminate();
    const { code } = await this.#exit;
    await this.gone();
    assert.equal(code, 0, `the master ended with code ${code}:\n${this.#output.slice(-4000)}`);
    assert.deepEqual(left(this.directory), [], 'sockets or directories are left behind');
    assert.doesNotMatch(this.logs + this.#output, /unhandledRejection|MaxListenersExceededWarning/);
    this.remove();
  }

  /** Ends whatever still lives, without asking whether it was well, and removes `home`; for `after` hooks. */
  async destroy(): Promise<void> {
    this.client.close();
    for (const { pid } of this.processes()) tryKill(pid);
    await this.gone();
    this.remove();
  }

  /** Removes everything that the host wrote. */
  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Starts a host and resolves when all of it is ready. Rejects with its output where it does not start. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { cluster, ready } = await launchCluster(options);
  const ended = cluster.exited().then(({ code, signal }) => `it ended (${code ?? signal})`);
  const outcome = await Promise.race([ready, ended]);
  if (typeof outcome !== 'string') return cluster;
  const { output, logs } = cluster;
  await cluster.destroy();
  throw new Error(`the host did not start: ${outcome}\n${output}\n${logs}`);
}

/** As `startCluster`, but resolves as soon as the master runs; `ready` resolves when all of it does. */
export async function launchCluster(options: ClusterOptions): Promise<{ cluster: Cluster; ready: Promise<void> }> {
  const home = options.home ?? newHome();
  const port = await freePort();
  const mark = randomBytes(8).toString('hex');
  const baseDir = path.resolve(FIXTURES, options.application);
  const child = spawn(process.execPath, [require.resolve('egg-scripts/lib/start-cluster'), JSON.stringify({
    framework: options.framework ?? path.join(ROOT, 'node_modules/egg'), baseDir, workers: options.workers ?? 2, port, env: options.env ?? 'prod', require: options.require,
  })], { cwd: baseDir, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: environmentOf(options, home, mark) });
  await once(child, 'spawn');
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: { action?: string }) => {
      if (message.action === 'egg-ready') resolve();
    });
  });
  return { cluster: new Cluster(child, { home, port, mark }), ready };
}

/** The environment in which a host's processes are found by `mark` and write below `home` only. */
export function environmentOf(options: Omit<ClusterOptions, 'application'>, home: string, mark: string): NodeJS.ProcessEnv {
  const config = { rundir: path.join(home, 'run'), ...options.config, carton: { directory: directoryIn(home), snapshot: { build: false }, ...options.carton } };
  return {
    ...process.env,
    NODE_ENV: 'production',
    EGG_SERVER_ENV: options.env ?? 'prod',
    EGG_HOME: home,
    EGG_APP_CONFIG: JSON.stringify(config),
    [MARK]: mark,
    ...options.environment,
  };
}

/** A short path, because those of sockets inside must stay below 108 bytes. */
export function newHome(): string {
  return mkdtempSync(path.join(tmpdir(), 'ec-'));
}

export function directoryIn(home: string): string {
  return path.join(home, 's');
}

/** What is left in `carton.directory`, all levels; [] where the directory is empty or missing. */
export function left(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory, { recursive: true }).map(String) : [];
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

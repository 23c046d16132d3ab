/**
 * A host in development for tests and benchmarks: a copy of an application, so that it may be edited, under a real
 * `egg-bin dev`, as a developer's terminal runs it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './eventually';
import { HttpClient, type Answer, type RequestOptions } from './http';
import { MARK, processesOf, type HostProcessInfo } from './processes';

const ROOT = path.resolve(__dirname, '../..');

export interface DevelopmentOptions {
  /** Directory of the application, below the repository's root. */
  readonly application: string;
  /** Variables on top of this process's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Directory of a framework to run on, below the repository's root: a copy of it, so that it may be edited, too. @default Egg */
  readonly framework?: string;
  /** Arguments for `egg-bin dev`. */
  readonly args?: readonly string[];
}

export class DevelopmentHost {
  readonly client: HttpClient;
  readonly #child: ChildProcess;
  readonly #mark: string;
  readonly #exit: Promise<unknown>;
  #output = '';

  constructor(readonly home: string, port: number, child: ChildProcess, mark: string) {
    this.client = new HttpClient(port);
    this.#child = child;
    this.#mark = mark;
    this.#exit = new Promise((resolve) => child.once('exit', resolve));
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString('utf8')));
  }

  /** The copy of the application. */
  get baseDir(): string {
    return path.join(this.home, 'app');
  }

  /** The copy of the framework, if it was given one. */
  get frameworkDir(): string {
    return path.join(this.home, 'framework');
  }

  /** What the terminal has shown so far. */
  get output(): string {
    return this.#output;
  }

  processes(): HostProcessInfo[] {
    return processesOf(this.#mark);
  }

  pidsOf(kind: HostProcessInfo['kind']): number[] {
    return this.processes().filter((info) => info.kind === kind).map((info) => info.pid).sort();
  }

  invoke(name: string, args: readonly unknown[] = [], options: RequestOptions = {}): Promise<Answer> {
    return this.client.invoke(name, args, options);
  }

  read(file: string): string {
    return readFileSync(path.join(this.baseDir, file), 'utf8');
  }

  save(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(this.baseDir, file)), { recursive: true });
    writeFileSync(path.join(this.baseDir, file), text);
  }

  edit(file: string, from: string, to: string): void {
    const text = this.read(file);
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    this.save(file, text.replace(from, to));
  }

  remove(file: string): void {
    unlinkSync(path.join(this.baseDir, file));
  }

  /** As Ctrl-C in a terminal does: a SIGINT to all processes of the foreground group. */
  interrupt(): void {
    process.kill(-(this.#child.pid as number), 'SIGINT');
  }

  /** Resolves when no process of it is left. */
  async gone(): Promise<void> {
    await this.#exit;
    await eventually('the end of all its processes', () => this.processes().length === 0, { seen: () => this.processes() });
  }

  /** Ends whatever lives and removes the copy. */
  async destroy(): Promise<void> {
    this.client.close();
    for (const { pid } of this.processes()) kill(pid);
    await this.gone();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Resolves when requests are answered; rejects with the output where it does not start. */
export async function startDevelopment({ application, environment = {}, framework, args = [] }: DevelopmentOptions): Promise<DevelopmentHost> {
  const home = realpathSync(mkdtempSync(path.join(tmpdir(), 'dev-')));
  copyApplication(path.join(ROOT, application), path.join(home, 'app'));
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(home, 'node_modules'));
  if (framework !== undefined) cpSync(path.join(ROOT, framework), path.join(home, 'framework'), { recursive: true });
  const frameworkArgs = framework === undefined ? [] : [`--framework=${path.join(home, 'framework')}`];
  const port = await freePort();
  const mark = randomBytes(8).toString('hex');
  const child = spawn(process.execPath, [path.join(ROOT, 'node_modules/.bin/egg-bin'), 'dev', `--port=${port}`, ...frameworkArgs, ...args], {
    cwd: path.join(home, 'app'),
    env: { ...cleanEnvironment(), DEV_APP_HOME: path.join(home, 'logs'), DEV_APP_DIRECTORY: path.join(home, 's'), ...environment, [MARK]: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as a shell gives to what it starts in the foreground.
    detached: true,
  });
  const host = new DevelopmentHost(home, port, child, mark);
  try {
    await eventually('its start', () => {
      if (child.exitCode !== null) throw new Error('it ended');
      return / started on http/.test(host.output);
    });
  } catch (cause) {
    await host.destroy();
    throw new Error(`egg-bin dev did not start:\n${host.output}`, { cause });
  }
  return host;
}

/** What the process that runs the tests was started with is not for the application. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_ENV: _env, EGG_TYPESCRIPT: _typescript, ...environment } = process.env;
  return environment;
}

/** Build output stays behind: only sources are copied. */
function copyApplication(from: string, to: string): void {
  const skipped = /\/(?:node_modules|logs|run|typings)(?:\/|$)|\.d\.ts$/;
  cpSync(from, to, { recursive: true, filter: (source) => !skipped.test(source.slice(from.length)) && !isBuilt(source) });
  const settings = path.join(to, 'tsconfig.json');
  const base = path.join(ROOT, 'tsconfig.json');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('"../../tsconfig.json"', JSON.stringify(base)));
}

function isBuilt(file: string): boolean {
  return file.endsWith('.js');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * examples/bff with its upstream stub, running in production mode in a temporary directory: what the demo shows and the
 * cold-start benchmark measures. Whoever starts it stops it; then nothing of it is left.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './child';
import { buildExample } from './example_build';
import { livingOf, treeOf } from './processes';

export interface ExampleOptions {
  readonly port: number;
  readonly workers: number;
  /** Settings of the plugin that differ from their defaults. */
  readonly carton: Readonly<Record<string, unknown>>;
}

interface Upstream {
  readonly url: string;
  close(): Promise<void>;
}

/** Milliseconds between two looks at processes that are ending. */
const LOOK_MS = 20;

/** The application on disk, with a place for what it writes, and the upstream stub in this process. */
export class Example {
  readonly directory = mkdtempSync(join(tmpdir(), 'carton-'));
  #upstream: Upstream | undefined;

  get upstreamUrl(): string {
    return this.#upstream?.url ?? '';
  }

  get baseDir(): string {
    return join(this.directory, 'bff');
  }

  /** Compiles the application and starts the stub. */
  async build(signal?: AbortSignal): Promise<void> {
    await buildExample(this.baseDir, signal);
    const { startUpstream } = (await import(join(this.baseDir, 'upstream/server.js'))) as { startUpstream(): Promise<Upstream> };
    this.#upstream = await startUpstream();
  }

  /** Environment of a process that runs the application in production, all that it writes kept in the directory. */
  environment(scope: 'carton' | '', carton: Readonly<Record<string, unknown>> = {}): Record<string, string> {
    const config = {
      rundir: join(this.directory, 'run'),
      logger: { dir: join(this.directory, 'logs') },
      ...(scope === 'carton' && { carton: { directory: join(this.directory, 's'), ...carton } }),
    };
    return {
      NODE_ENV: 'production',
      EGG_SERVER_ENV: 'prod',
      EGG_SERVER_SCOPE: scope,
      EGG_HOME: this.directory,
      EGG_APP_CONFIG: JSON.stringify(config),
      BFF_UPSTREAM: this.upstreamUrl,
      BFF_KEYS: 'a-key-of-the-demo',
    };
  }

  async remove(): Promise<void> {
    await this.#upstream?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The example under egg-cluster with the plugin. */
export class ExampleHost {
  readonly port: number;
  readonly #master: Child;

  constructor(example: Example, { port, workers, carton }: ExampleOptions) {
    this.port = port;
    this.#master = new Child(join(__dirname, 'egg_master.js'), {
      args: [example.baseDir, String(port), String(workers)],
      env: example.environment('carton', carton),
      detached: true,
    });
  }

  get pid(): number {
    return this.#master.pid;
  }

  /** Resolves once agent and workers are ready. */
  async ready(): Promise<void> {
    await this.#master.message();
  }

  /** Ends all its processes, by force after `graceMs`, and waits until the last is gone. */
  async stop(graceMs: number): Promise<void> {
    const pids = new Set(treeOf(this.pid));
    await this.#master.end(graceMs);
    // A forced end leaves its group, which holds agent and workers, and instances, which have groups of their own.
    for (let left = livingOf(pids); left.length > 0; left = livingOf(pids)) {
      for (const pid of [-this.pid, ...left]) kill(pid);
      await sleep(LOOK_MS);
    }
  }
}

/** Kills a process or a group; one that has ended already is fine. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

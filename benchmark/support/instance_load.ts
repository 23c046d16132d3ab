/**
 * Instances without a host around: this process is their agent and their worker at once, and calls them over the very
 * sockets and codecs that a worker uses. There is no HTTP in it, so that what is measured is the instance.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { carton as cartonDefaults } from '../../config/config.default';
import type { ProcessBoot } from '../../lib/protocol/control';
import { writeInvoke } from '../../lib/protocol/invocation';
import { ARRAY_PLAN } from '../../lib/protocol/oneapi';
import { connectSession } from '../../lib/rpc/handshake';
import type { Session } from '../../lib/rpc/session';
import { CHANNEL_FD } from '../../lib/sandbox/channel';
import type { Sandbox } from '../../lib/sandbox/launcher';
import { bootOf } from '../../lib/scheduler/boot';
import { LiveInstance } from '../../lib/scheduler/live_instance';
import type { Revision } from '../../lib/spec/types';
import { systemClock } from '../../lib/support/clock';
import { CartonError } from '../../lib/support/errors';
import { HostDirectory } from '../../lib/support/host_directory';
import type { HostEnvironment } from '../../lib/support/host_environment';
import { killGroup } from '../../lib/support/host_process';
import { socketDirectory, type Application } from './applications';
import { exactCpuMicros } from './cpu';
import { StartedProcess } from './start';

const ENTRY = join(__dirname, '../../lib/entry/function_process.js');
const TIMEOUT_MS = 10_000;

const silent = (): void => undefined;

/** Makes instances of one function of an application. */
export class Instances {
  readonly #application: Application;
  readonly #environment: HostEnvironment;
  readonly #revision: Revision;
  readonly #directory: HostDirectory;

  constructor(application: Application, environment: HostEnvironment, revision: Revision) {
    this.#application = application;
    this.#environment = environment;
    this.#revision = revision;
    this.#directory = new HostDirectory(socketDirectory(application.directory), environment.hostProcess, application.baseDir);
    this.#directory.create();
  }

  /** A fresh process under these flags of Node. */
  spawn(flags: readonly string[]): Sandbox {
    const { application, hostProcess, development } = this.#environment;
    const boot: ProcessBoot = { application, hostProcess, development, snapshot: null, compileCache: null };
    const started = new StartedProcess({
      args: [...flags, ENTRY, JSON.stringify(boot)], cwd: application.baseDir, env: this.#application.environment('carton'), channel: 'pipe', lifeMs: null,
    });
    const pid = started.process.pid as number;
    return { pid, channel: started.process.stdio[CHANNEL_FD] as Socket, exited: started.exited, kill: () => killGroup(pid) };
  }

  /** Has a sandbox serve the application's function. */
  async serve(id: string, sandbox: Sandbox): Promise<LoadedInstance> {
    const group = this.#revision.groups.find(({ functions }) => functions.includes(this.#application.functionName));
    if (group === undefined) throw new Error(`expected a group of ${this.#application.functionName}`);
    const boot = bootOf({ directory: this.#directory, config: cartonDefaults, revision: this.#revision, mocks: [] }, id, group.key);
    await new Promise<void>((resolve, reject) => {
      LiveInstance.launched(sandbox, boot, systemClock, {
        onReady: () => resolve(), onLoad: silent, onStale: silent,
        onEnded: (_instance, { failure }) => reject(new Error(`instance ${id} ended before it was ready: ${failure?.message ?? ''}`)),
      });
    });
    const session = await connectSession(boot.socketPath, boot.callToken, () => ({ onClosed: silent }));
    return new LoadedInstance(sandbox, session, group.functions.indexOf(this.#application.functionName));
  }

  close(): void {
    this.#directory.remove();
  }
}

export interface Load {
  readonly args: readonly unknown[];
  /** Invocations under way. */
  readonly atOnce: number;
  readonly durationMs: number;
}

export interface LoadFigures {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** CPU microseconds of the instance for each invocation. */
  readonly cpuMicros: number;
}

export class LoadedInstance {
  readonly #sandbox: Sandbox;
  readonly #session: Session;
  readonly #functionIndex: number;

  constructor(sandbox: Sandbox, session: Session, functionIndex: number) {
    this.#sandbox = sandbox;
    this.#session = session;
    this.#functionIndex = functionIndex;
  }

  async load({ args, atOnce, durationMs }: Load): Promise<LoadFigures> {
    const body = Buffer.from(JSON.stringify(args));
    const latencies: number[] = [];
    const startedAt = performance.now();
    const before = exactCpuMicros([this.#sandbox.pid]);
    const lane = async (): Promise<void> => {
      while (performance.now() - startedAt < durationMs) {
        const sentAt = performance.now();
        await this.#invoke(body);
        latencies.push(performance.now() - sentAt);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    const seconds = (performance.now() - startedAt) / 1000;
    const sorted = Float64Array.from(latencies).sort();
    return {
      perSecond: latencies.length / seconds,
      p99Ms: sorted[Math.floor(0.99 * (sorted.length - 1))] ?? Number.NaN,
      cpuMicros: (exactCpuMicros([this.#sandbox.pid]) - before) / latencies.length,
    };
  }

  async end(): Promise<void> {
    this.#session.close();
    this.#sandbox.kill();
    await this.#sandbox.exited;
  }

  #invoke(body: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const call = this.#session.open({
        onReply: () => resolve(), onData: silent, onEnd: silent, onFail: (error) => reject(new Error(`${error.code} ${error.message}`)),
        onNack: () => reject(new CartonError('CARTON_RUNTIME_BUSY')), onClosed: () => reject(new CartonError('CARTON_RPC_CLOSED')),
      }, false);
      writeInvoke(this.#session.writer, call.id, {
        request: {
          function: '', trigger: 'oneapi', args: ARRAY_PLAN, id: randomBytes(16), user: undefined, streamFormat: 'ndjson',
          trace: { traceId: randomBytes(16), spanId: randomBytes(8), parentId: Buffer.alloc(8), sampled: false, state: '' },
        },
        extra: undefined, functionIndex: this.#functionIndex, attempt: 1, remainingMs: TIMEOUT_MS, body,
      });
      this.#session.flushSoon();
    });
  }
}

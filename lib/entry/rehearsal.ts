/**
 * Stands in for agent and worker of an instance: boots it, invokes functions on it, drains it, over the same sockets and
 * codecs as on a host. Runs where a function process is recorded, in templates, which warm themselves by it, and in the
 * agent, which tests a template by it.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { settledWithin, systemClock } from '../support/clock';
import { CartonError, fromWire, type WireError } from '../support/errors';
import type { WarmUp } from '../support/host_environment';
import { LIMITS } from '../support/limits';
import type { InstanceBoot } from '../protocol/control';
import { writeInvoke } from '../protocol/invocation';
import { ARRAY_PLAN } from '../protocol/oneapi';
import { connectSession } from '../rpc/handshake';
import type { Session } from '../rpc/session';
import { InlineLauncher } from '../sandbox/inline';
import type { Sandbox, SandboxExit } from '../sandbox/launcher';
import { LiveInstance } from '../scheduler/live_instance';
import type { FunctionSpec } from '../spec/types';

const TIMEOUT_MS = 10_000;
/** A function that does nothing. */
const NO_OP = ownFunction('egg-carton no-op', 'no_op');

export interface Rehearsal {
  /** For sockets. */
  readonly directory: string;
  readonly launch: (boot: InstanceBoot) => Promise<Sandbox>;
  /** Loaded in any case; invoked are `noOp` and what `warmUps` names. */
  readonly functions: readonly FunctionSpec[];
  readonly warmUps: readonly WarmUp[];
  /** How often each of them is. @default 1 */
  readonly rounds?: number;
  /** An invocation failed. What it throws ends the rehearsal. */
  readonly onWarning: (message: string) => void;
  /** All were invoked, and the instance still lives. */
  readonly onAnswered?: () => void;
}

/** Resolves with the exit of the instance. Rejects with the error of its boot. */
export async function rehearse({ directory, launch, functions, warmUps, rounds = 1, onWarning, onAnswered }: Rehearsal): Promise<SandboxExit> {
  const specs = [...functions, NO_OP];
  const boot = bootOf(directory, specs);
  const sandbox = await launch(boot);
  const instance = await ready(boot, sandbox);
  const session = await connectSession(boot.socketPath, boot.callToken, () => ({ onClosed: () => undefined }));
  for (const { function: name, args } of [{ function: NO_OP.name, args: [] }, ...Array.from({ length: rounds }, () => warmUps).flat()]) {
    const index = specs.findIndex((spec) => spec.name === name);
    const error = index < 0 ? new CartonError('CARTON_INGRESS_UNKNOWN_FUNCTION', { of: `function "${name}"` }) : await invoke(session, index, args);
    if (error !== undefined) onWarning(`the warm-up of function "${name}" failed: ${error.code} ${error.message}`);
  }
  onAnswered?.();
  session.close();
  instance.drain();
  return await sandbox.exited;
}

/** Runs an instance in this very process, on its end of a channel; `end` is called when it has ended. */
export type ServeHere = (channel: Duplex, end: (code: number) => void) => void;

export function launchHere(serve: ServeHere): Rehearsal['launch'] {
  return async (boot) => {
    const drain = (): void => undefined;
    const launched = await new InlineLauncher((channel, end) => {
      serve(channel, end);
      return { drain };
    }).launch(boot);
    // What the instance said last, such as why it did not boot, is read before its end counts.
    const lastByte = new Promise((resolve) => launched.channel.once('close', resolve));
    return { ...launched, exited: launched.exited.then((exit) => settledWithin(systemClock, LIMITS.lingerMs, lastByte).then(() => exit)) };
  };
}

function ready(boot: InstanceBoot, sandbox: Sandbox): Promise<LiveInstance> {
  return new Promise((resolve, reject) => {
    LiveInstance.launched(sandbox, boot, systemClock, {
      onReady: resolve,
      onLoad: () => undefined,
      onStale: () => undefined,
      onEnded: (_instance, { failure }) => reject(failure === undefined ? new CartonError('CARTON_INSTANCE_LAUNCH_FAILED') : fromWire(failure)),
    });
  });
}

/** Resolves with the error, or undefined where there was a result. */
function invoke(session: Session, functionIndex: number, args: readonly unknown[]): Promise<WireError | CartonError | undefined> {
  return new Promise((resolve) => {
    const call = session.open({
      onReply: (_payload, streamFollows) => {
        if (!streamFollows) resolve(undefined);
      },
      onFail: resolve,
      onNack: () => resolve(new CartonError('CARTON_RUNTIME_BUSY')),
      onData: (chunk) => call.received?.consumed(chunk.length),
      onEnd: resolve,
      onClosed: () => resolve(new CartonError('CARTON_RPC_CLOSED')),
    }, false);
    writeInvoke(session.writer, call.id, {
      request: {
        function: '', trigger: 'oneapi', args: ARRAY_PLAN, id: randomBytes(16), user: undefined, streamFormat: 'ndjson',
        trace: { traceId: randomBytes(16), spanId: randomBytes(8), parentId: Buffer.alloc(8), sampled: false, state: '' },
      },
      extra: undefined,
      functionIndex,
      attempt: 1,
      remainingMs: TIMEOUT_MS,
      body: Buffer.from(JSON.stringify(args)),
    });
    session.flushSoon();
  });
}

let rehearsals = 0;

function bootOf(directory: string, functions: readonly FunctionSpec[]): InstanceBoot {
  rehearsals += 1;
  return {
    id: 'rehearsal',
    revision: 'rehearsal',
    group: { key: 'rehearsal', functions: functions.map((spec) => spec.name), concurrency: 1, minInstances: 0, maxInstances: 1, idleTimeoutMs: 0 },
    functions,
    socketPath: join(directory, `s${rehearsals}`),
    recordPath: join(directory, `r${rehearsals}`),
    callToken: randomBytes(16).toString('hex'),
    controlToken: randomBytes(16).toString('hex'),
    agentGraceMs: 0,
    drainTimeoutMs: TIMEOUT_MS,
    mocks: [],
  };
}

/** A function of this package, in a file of this directory. */
export function ownFunction(name: string, file: string): FunctionSpec {
  return {
    name,
    file: join(__dirname, file),
    exportName: 'default',
    triggers: [],
    group: 'rehearsal',
    auth: 'none',
    rateLimit: null,
    concurrency: 1,
    minInstances: 0,
    maxInstances: 1,
    timeoutMs: TIMEOUT_MS,
    idleTimeoutMs: 0,
    queueLimit: 1,
    bodyLimitBytes: 1024,
    idempotent: true,
  };
}

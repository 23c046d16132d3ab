/**
 * Control messages between agent, app workers and instances: what each says, as JSON in EVENT, CALL and REPLY frames.
 * Pure; the sessions that carry them are `lib/rpc`'s. A peer's message is checked before use, because an instance
 * runs code that is not ours.
 */
import { CartonError, type WireError } from '../support/errors';
import type { ApplicationDescriptor, HostProcess } from '../support/host_environment';
import type { FunctionSpec, GroupSpec } from '../spec/types';

/** Method numbers of EVENT and CALL frames; one space for all sessions. */
export const METHOD = Object.freeze({
  // worker → instance
  invoke: 1,
  // instance → worker: a place is free again, after a refusal
  free: 2,
  // instance → worker: an invocation whose body came as a stream begins
  begun: 3,
  // agent → instance
  boot: 10,
  drain: 11,
  reloadLogs: 12,
  mock: 13,
  // instance → agent
  ready: 20,
  failed: 21,
  load: 22,
  stale: 23,
  // worker → agent
  demand: 30,
  lost: 31,
  refreshSpecs: 32,
  setMocks: 33,
  // of one object to another: either way between an instance and a sidecar
  remote: 50,
  release: 51,
  // agent → worker
  specs: 40,
  instances: 41,
  refused: 42,
});

/** What a function process needs to boot its application, before it is known which functions it will serve. */
export interface ProcessBoot {
  readonly application: ApplicationDescriptor;
  readonly hostProcess: HostProcess;
  readonly development: boolean;
  /** What to load the application from. Null: from its files. */
  readonly snapshot: SnapshotReference | null;
  /** Directory of Node's own kind of compile cache, which serves while there is no snapshot. Null: none. */
  readonly compileCache: string | null;
  /** How it reaches sidecars before it is told whom it serves. @default it does not */
  readonly sidecar?: SidecarAccess;
}

/** As whom a process calls a sidecar: see `lib/protocol/claims.ts`. */
export interface SidecarIdentity {
  readonly claims: string;
  /** Derived from the claims. 32 hexadecimal digits. */
  readonly token: string;
}

export interface SidecarAccess extends SidecarIdentity {
  /** Paths of the sidecars' sockets, by their names. */
  readonly sockets: Readonly<Record<string, string>>;
  /** For a call that names no time. */
  readonly callTimeoutMs: number;
}

/** Where a snapshot is, and what it has to contain. */
export interface SnapshotReference {
  readonly path: string;
  /** SHA-256 of the whole file, hexadecimal; the file is named by it. */
  readonly sha256: string;
}

/** What makes a booted process an instance: sent as the `boot` event on its channel. */
export interface InstanceBoot {
  /** Identifier of the instance: unique for the life of the host. */
  readonly id: string;
  readonly revision: string;
  readonly group: GroupSpec;
  /** The group's functions, in the order of `group.functions`. */
  readonly functions: readonly FunctionSpec[];
  /** Where the instance listens for workers, and for an agent that adopts it. */
  readonly socketPath: string;
  /** File of the begin record (see `lib/rpc/begin_record.ts`). */
  readonly recordPath: string;
  /** Opens a worker's session: invocations only. 32 hexadecimal digits. */
  readonly callToken: string;
  /** Opens an agent's session: control. 32 hexadecimal digits. */
  readonly controlToken: string;
  readonly agentGraceMs: number;
  readonly drainTimeoutMs: number;
  readonly mocks: readonly ServiceMock[];
  /** As whom it calls sidecars. @default as the process did before */
  readonly sidecar?: SidecarIdentity;
}

/** A service's method that answers with data instead of running, for tests on a cluster. */
export interface ServiceMock {
  readonly service: string;
  readonly method: string;
  readonly result?: unknown;
  /** Message of the error to throw instead. */
  readonly error?: string;
}

/** worker → agent, and agent → instance with all that are set: answered once every instance has them. */
export interface MocksChange {
  readonly mocks: readonly ServiceMock[];
  /** Whether those that are set stay; one for the same method is replaced in any case. */
  readonly keep: boolean;
}

/** instance → agent: what it is, on being ready and to an agent that adopts it. */
export interface InstanceReady extends InstanceLoad {
  readonly id: string;
  readonly pid: number;
  readonly group: string;
  readonly revision: string;
  readonly draining: boolean;
}

/** instance → agent: the boot failed; the process exits after it. */
export interface InstanceFailed {
  readonly error: WireError;
}

/** instance → agent, at most every 100 ms and only when it changed. */
export interface InstanceLoad {
  readonly inflight: number;
  /** Invocations begun since the start. */
  readonly served: number;
}

/** worker → agent: how much work waits for a group, and how much of it runs. */
export interface Demand {
  readonly group: string;
  readonly waiting: number;
  readonly inflight: number;
}

/** worker → agent: an instance that it could not use. */
export interface InstanceLost {
  readonly id: string;
  readonly reason: 'closed' | 'unresponsive' | 'stale' | 'draining';
}

/** agent → worker: all functions, whenever they change and at first. */
export interface SpecsPush {
  readonly epoch: number;
  readonly revision: string;
  readonly functions: readonly FunctionSpec[];
  readonly groups: readonly GroupSpec[];
  /** Workers on this host; limits per host are divided by it. */
  readonly workers: number;
  /** The live instances of every group that has any. */
  readonly instances: readonly InstancesPush[];
}

/** agent → worker: the live instances of one group, whenever they change. An empty list: none. */
export interface InstancesPush {
  readonly group: string;
  readonly instances: readonly InstanceAddress[];
}

export interface InstanceAddress {
  readonly id: string;
  readonly socketPath: string;
  readonly recordPath: string;
  readonly callToken: string;
}

/** agent → worker: requests that wait for this group get this error now. */
export interface GroupRefused {
  readonly group: string;
  readonly error: WireError;
  /** Requests that arrive within this time get it at once. 0: only those that wait now. */
  readonly forMs: number;
}

export function encodeControl(message: unknown): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** Parses a control message; the result is unknown until `expectFields` or the like has looked at it. */
export function decodeControl(payload: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a JSON control message', got: `${payload.length} bytes that are not JSON`, cause });
  }
  if (isRecord(value)) return value;
  throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control message that is an object', got: Array.isArray(value) ? 'an array' : typeof value });
}

/** Characters of a string in a control message: names, ids, paths, reasons. */
const STRING_CHARACTERS = 4096;

/** `count`: a whole number from 0 on. Numbers are finite: JSON can say 1e999, and arithmetic with it never ends well. */
type FieldType = 'string' | 'number' | 'count' | 'boolean' | 'object' | 'array';

const CHECKS: Readonly<Record<FieldType, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string' && value.length <= STRING_CHARACTERS,
  number: (value) => Number.isFinite(value),
  count: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  boolean: (value) => typeof value === 'boolean',
  object: isRecord,
  array: (value) => Array.isArray(value),
};

/** Checks that `message` has each field with its type, and returns it as `T`. */
export function expectFields<T>(message: Record<string, unknown>, fields: { readonly [K in keyof T]?: FieldType }): T {
  for (const [name, type] of Object.entries(fields) as [string, FieldType][]) {
    const value = Object.hasOwn(message, name) ? message[name] : undefined;
    if (CHECKS[type](value)) continue;
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: `field "${name}" to be a ${type}`, got: Array.isArray(value) ? 'an array' : typeof value });
  }
  return message as T;
}

/** Checks the elements of an array of a message as `expectFields` does the message. */
export function expectAll<T>(elements: readonly unknown[], fields: { readonly [K in keyof T]?: FieldType }): readonly T[] {
  return elements.map((element) => {
    if (!isRecord(element)) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an array of objects', got: `a ${typeof element} among them` });
    return expectFields<T>(element, fields);
  });
}

/** Mocks in a message; `result` may be anything that JSON can say. */
export function expectMocks(message: Record<string, unknown>): readonly ServiceMock[] {
  const { mocks } = expectFields<{ mocks: readonly unknown[] }>(message, { mocks: 'array' });
  return expectAll<ServiceMock>(mocks, { service: 'string', method: 'string' });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

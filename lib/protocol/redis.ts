/**
 * What a stand-in for an ioredis client and the sidecar say to each other, beside commands by their own names, and what
 * both must know of commands. Pure. It runs in instances and sidecars.
 */

/** Methods that are no commands. */
export const REDIS = Object.freeze({
  /** `[commands, { isTransaction, heard }]`: a pipeline, or a transaction. Gives a `BatchResult`. */
  batch: '$batch',
  /** `[commands]`: each for itself, and none that may block. Gives `[error, reply]` for each. */
  several: '$several',
  /** `[script, args]` */
  script: '$script',
  /** Gives an object that takes commands and batches, all on one connection of its own. */
  pin: '$pin',
  /** `[{ isMonitor }]`: gives an object that takes subscriptions, and `$messages` for the stream of what comes. */
  feed: '$feed',
  messages: '$messages',
});

/** A script that was defined as a command. */
export interface ScriptCall {
  readonly lua: string;
  /** Absent: the first argument tells. */
  readonly numberOfKeys?: number;
  readonly readOnly?: boolean;
  /** Whether the reply is to have Buffers. */
  readonly isBuffer?: boolean;
}

export type RedisCommand = readonly [method: string | ScriptCall, args: readonly unknown[]];

export interface BatchOptions {
  readonly isTransaction: boolean;
  /** Places of commands in a transaction whose own replies (`QUEUED`, as a rule) somebody wants to hear. */
  readonly heard: readonly number[];
}

export interface BatchResult {
  readonly results?: unknown;
  readonly error?: unknown;
  readonly heard: readonly (readonly [place: number, error: unknown, reply: unknown])[];
}

/** Of the command that a method sends, in lower case. */
export function nameOf([method, args]: RedisCommand): string {
  if (typeof method !== 'string') return 'evalsha';
  if (isCall(method)) return String(args[0]).toLowerCase();
  return method.replace(/Buffer$/, '').toLowerCase();
}

export function isCall(method: string): boolean {
  return method === 'call' || method === 'callBuffer';
}

const BLOCKING = new Set(['blpop', 'brpop', 'brpoplpush', 'blmove', 'blmovem', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop', 'wait', 'waitaof']);
const BLOCKING_BY_OPTION = new Set(['xread', 'xreadgroup']);

/** Whether a connection does nothing else while the command waits. */
export function mayBlock(command: RedisCommand): boolean {
  const name = nameOf(command);
  if (!BLOCKING_BY_OPTION.has(name)) return BLOCKING.has(name);
  const words = command[1].map((arg) => String(arg).toLowerCase());
  const block = words.indexOf('block');
  return block >= 0 && block < words.indexOf('streams');
}

/** What a connection has open after commands: while there is something, all that follows belongs to it. */
export interface Open {
  readonly isWatching: boolean;
  /** Between MULTI and EXEC. */
  readonly isQueueing: boolean;
}

export const NOTHING_OPEN: Open = Object.freeze({ isWatching: false, isQueueing: false });

export function isOpen({ isWatching, isQueueing }: Open): boolean {
  return isWatching || isQueueing;
}

export function openAfter(commands: readonly RedisCommand[], open: Open): Open {
  return commands.reduce((at, command) => {
    switch (nameOf(command)) {
      case 'watch':
        return { ...at, isWatching: true };
      case 'multi':
        return { ...at, isQueueing: true };
      case 'unwatch':
        return at.isQueueing ? at : NOTHING_OPEN;
      case 'exec':
      case 'discard':
        return NOTHING_OPEN;
      default:
        return at;
    }
  }, open);
}

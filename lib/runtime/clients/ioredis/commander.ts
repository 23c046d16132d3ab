/**
 * Methods that send commands, as clients and pipelines of ioredis have them: one for each command, its variant that gives
 * Buffers, and those that an application defines. It runs in instances.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isCall, nameOf, type RedisCommand, type ScriptCall } from '../../../protocol/redis';

export type Callback = (error: unknown, result?: unknown) => void;

/** What a method of a command comes to. A symbol, because every name may be a command's. */
export const RUN = Symbol('run');

export interface Commander {
  [RUN](command: RedisCommand, callback: Callback | undefined): unknown;
}

export interface ScriptDefinition {
  readonly lua: string;
  readonly numberOfKeys?: number;
  readonly readOnly?: boolean;
}

type Method = (this: Commander, ...args: unknown[]) => unknown;

/** Where the list of commands is, by the name of the package that a version of ioredis has it in. */
const LISTS = ['@ioredis/commands/built/commands.json', 'redis-commands/commands.json'];

/**
 * Names of all commands, from the list of the ioredis that the plugin has; undefined where there is none. It is read and
 * not required: only its keys are used, and the rest would stay in memory.
 */
export function commandNames(plugin: NodeJS.Require): readonly string[] | undefined {
  for (const list of LISTS) {
    const path = found(plugin, list);
    if (path !== undefined) return [...Object.keys(JSON.parse(readFileSync(path, 'utf8')) as object).filter((name) => name !== 'monitor'), 'sentinel'];
  }
  return undefined;
}

function found(plugin: NodeJS.Require, list: string): string | undefined {
  const fromIoredis = (): string => createRequire(plugin.resolve('ioredis')).resolve(list);
  for (const resolve of [fromIoredis, () => plugin.resolve(list)]) {
    try {
      return resolve();
    } catch {
      continue;
    }
  }
  return undefined;
}

/** `names` undefined: any name that is asked for. What the prototype has already stays. */
export function addCommands(prototype: object, names: readonly string[] | undefined): void {
  if (names === undefined) return addAny(prototype);
  for (const name of [...names.flatMap((each) => [each, `${each}Buffer`]), 'call', 'callBuffer']) if (!(name in prototype)) hidden(prototype, name, sending(name));
  if (!('send_command' in prototype)) hidden(prototype, 'send_command', sending('call'));
}

/** As own properties, as ioredis has them. */
export function addScript(to: object, name: string, { lua, numberOfKeys, readOnly }: ScriptDefinition): void {
  const script: ScriptCall = { lua, ...(typeof numberOfKeys === 'number' && { numberOfKeys }), ...(readOnly === true && { readOnly }) };
  Object.assign(to, { [name]: sending(script), [`${name}Buffer`]: sending({ ...script, isBuffer: true }) });
}

/** For a command that the list does not have. */
export function addCommand(to: object, name: string): void {
  const calling = (method: string): Method => function (...args) {
    return sending(method).call(this, name, ...args);
  };
  Object.assign(to, { [name]: calling('call'), [`${name}Buffer`]: calling('callBuffer') });
}

/** Asked of any object by those who look what it is. */
const NOBODYS = new Set(['then', 'catch', 'finally', 'toJSON', 'constructor', 'inspect', 'asymmetricMatch', 'nodeType']);

function addAny(prototype: object): void {
  const made: Record<string, Method> = {};
  const any = new Proxy(Object.getPrototypeOf(prototype) as object, {
    get: (target, key, receiver) => (key in target || typeof key === 'symbol' || key.startsWith('_') || NOBODYS.has(key) ? (Reflect.get(target, key, receiver) as unknown) : (made[key] ??= sending(key))),
  });
  Object.setPrototypeOf(prototype, any);
}

function hidden(prototype: object, name: string, value: Method): void {
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
}

function sending(method: string | ScriptCall): Method {
  return function (...args) {
    const callback = typeof args.at(-1) === 'function' ? (args.pop() as Callback) : undefined;
    return this[RUN]([method, argumentsOf(method, args)], callback);
  };
}

/** Where commands take all fields and values as one object or Map, which is the last argument then. */
const FIELDS_AT: ReadonlyMap<string, number> = new Map([['hset', 1], ['hmset', 1], ['mset', 0], ['msetnx', 0]]);

/** As ioredis makes them text, so that objects of any class arrive as what they would be without another process. */
function argumentsOf(method: string | ScriptCall, args: readonly unknown[]): unknown[] {
  const flat = args.flat();
  const command: RedisCommand = [method, flat];
  const fieldsAt = (FIELDS_AT.get(nameOf(command)) ?? NaN) + (typeof method === 'string' && isCall(method) ? 1 : 0);
  return flat.map((arg, at) => (at === fieldsAt && flat.length === at + 1 && typeof arg === 'object' && arg !== null ? fieldsOf(arg) : text(arg)));
}

function fieldsOf(object: object): unknown {
  if (Buffer.isBuffer(object)) return object;
  if (object instanceof Map) return new Map([...(object as Map<unknown, unknown>)].map(([key, value]) => [text(key), text(value)]));
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, text(value)]));
}

function text(arg: unknown): string | Buffer {
  if (typeof arg === 'string' || Buffer.isBuffer(arg)) return arg;
  return arg === undefined || arg === null ? '' : String(arg);
}

/** Returns the promise, and tells the callback, too. What a callback throws is nobody's rejection. */
export function nodeify<T>(promise: Promise<T>, callback: Callback | undefined): Promise<T> {
  if (callback !== undefined) {
    promise.then(
      (result) => queueMicrotask(() => callback(null, result)),
      (error: unknown) => queueMicrotask(() => callback(error)),
    );
  }
  return promise;
}

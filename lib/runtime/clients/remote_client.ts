/**
 * What stands in an instance for a client that a sidecar holds: has its methods, and each call of one is a call to the
 * sidecar. Runs in instances.
 */
import { RemoteObject } from '../../rpc/remote';

export interface ClientShape {
  /** Methods of the client. @default any that is asked for by name and does not begin with `_` */
  readonly methods?: readonly string[];
  /** What is here and synchronous: functions that only compute, constants. */
  readonly local?: Readonly<Record<string, unknown>>;
}

export type CallClient = (method: string, args: readonly unknown[]) => Promise<unknown>;
type Method = (...args: unknown[]) => unknown;

/**
 * Asked of any object by those who look what it is: a client that had them all would be a promise, and JSON. Egg puts the
 * last two on a client, and wants to be the first.
 */
const NOBODYS = new Set(['then', 'catch', 'finally', 'toJSON', 'constructor', 'inspect', 'asymmetricMatch', 'nodeType', 'createInstance', 'createInstanceAsync']);

/** Stand-ins for objects of the sidecar's, which go back to it as those objects. */
const objects = new WeakMap<object, RemoteObject>();

/** May be changed like any object, as by whoever mocks a method of it. */
export function remoteClient(call: CallClient, { methods, local = {} }: ClientShape = {}): object {
  const names = methods === undefined ? undefined : new Set(methods);
  const isMethod = (key: string): boolean => (names === undefined ? !NOBODYS.has(key) && !key.startsWith('_') : names.has(key));
  const made = Object.create(null) as Record<string, unknown>;
  const methodOf = (key: string): unknown => (made[key] ??= (...args: unknown[]) => call(key, args.map(leaving)).then(arriving));
  const members: Record<PropertyKey, unknown> = { ...local };
  return new Proxy(members, {
    get: (own, key) => (key in own || typeof key === 'symbol' || !isMethod(key) ? own[key] : methodOf(key)),
    has: (own, key) => key in own || (typeof key === 'string' && names?.has(key) === true),
    getOwnPropertyDescriptor: (own, key) => Object.getOwnPropertyDescriptor(own, key) ?? (typeof key === 'string' && names?.has(key) === true ? { value: methodOf(key), writable: true, enumerable: false, configurable: true } : undefined),
  });
}

function leaving(arg: unknown): unknown {
  if (typeof arg === 'function') return (...given: unknown[]) => (arg as Method)(...given.map(arriving));
  return typeof arg === 'object' && arg !== null ? objects.get(arg) ?? arg : arg;
}

function arriving(value: unknown): unknown {
  if (!(value instanceof RemoteObject)) return value;
  const { methods } = (value.data ?? {}) as { readonly methods?: readonly string[] };
  const client = remoteClient((method, args) => value.call(method, args), { methods });
  objects.set(client, value);
  return client;
}

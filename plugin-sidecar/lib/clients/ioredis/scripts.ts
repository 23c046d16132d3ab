/**
 * Scripts that functions have defined as commands, defined on a real client: it runs them by their hash, and sends the
 * whole of them where the server does not know it. It runs in sidecars.
 */
import { LIMITS } from '../../../../lib/support/limits';
import type { ScriptCall } from '../../../../lib/protocol/redis';
import type { RedisClient } from './connections';

/** Names of commands by what they run, on each client, the longest unused first. */
const defined = new WeakMap<RedisClient, Map<string, string>>();
let last = 0;

/** Returns the name of a method of the client, and of pipelines that are made before the next `trimScripts`. */
export function defineScript(client: RedisClient, { lua, numberOfKeys, readOnly, isBuffer }: ScriptCall): string {
  const names = defined.get(client) ?? new Map<string, string>();
  defined.set(client, names);
  const key = `${numberOfKeys} ${readOnly} ${lua}`;
  let name = names.get(key);
  if (name === undefined) {
    name = `$script${(last += 1)}`;
    client.defineCommand(name, { lua, numberOfKeys, readOnly });
  }
  names.delete(key);
  names.set(key, name);
  return isBuffer === true ? `${name}Buffer` : name;
}

/** Forgets those above the limit; what runs them has all that it needs. */
export function trimScripts(client: RedisClient): void {
  const names = defined.get(client);
  if (names === undefined) return;
  for (const [key, name] of names) {
    if (names.size <= LIMITS.redisScripts) return;
    names.delete(key);
    delete client.scriptsSet[name];
    for (const method of [name, `${name}Buffer`]) delete (client as unknown as Record<string, unknown>)[method];
  }
}

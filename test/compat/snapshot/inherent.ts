/**
 * What a snapshot changes on purpose, taken out of both descriptions before they are compared. Each of these is named
 * here, with the reason why no application depends on it; whatever else differs is a mistake.
 */
import type { SnapshotRole } from '../../../lib/snapshot/manifest';
import type { Json } from './describe_value';

type Tree = { readonly [key: string]: Json };

interface Modules {
  readonly order: string[];
  readonly modules: { readonly [file: string]: { readonly children: string[] } & Tree };
}

/**
 * In function processes, dependencies' requires that wait for their first use: `$delayed_x()` stands where `x` stood,
 * in parentheses where `new` or a call needs them. Only the text of functions of dependencies tells.
 */
const DELAYED_NAME = /(new )\(\$delayed_(\w+)\(\)\)|\(0, \$delayed_(\w+)\(\)\)|\$delayed_(\w+)\(\)/g;

/**
 * Globals of dependencies that function processes load when they first use them: undici's dispatcher, which it sets
 * unless there is one, and cluster-client's tables of the servers in its process.
 */
const DELAYED_GLOBALS = /^(?:@undici\.globalDispatcher\.\d+|serverMap|typeSet)$/;

/**
 * Node warns of a package.json whose `main` does not exist when it reads it; a snapshot knows what the request resolves
 * to, and the recording has warned.
 */
const MANIFEST_WARNING = /\[DEP0128\]|node --trace-deprecation/;

/** Egg's loader asks the snapshot instead of it, so a process that needs it for nothing else never loads it. */
const NOT_LOADED = /\/node_modules\/globby\/index\.js$/;

function withoutDelays(value: Json): Json {
  if (typeof value === 'string') return value.replace(DELAYED_NAME, '$1$2$3$4');
  if (Array.isArray(value)) return value.map(withoutDelays);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !DELAYED_GLOBALS.test(name));
  return Object.fromEntries(entries.map(([name, item]) => [name, withoutDelays(item)]));
}

/** A module and all that its loading loads. */
function closure({ order, modules }: Modules): Set<string> {
  const open = order.filter((file) => NOT_LOADED.test(file));
  const found = new Set<string>();
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    open.push(...(modules[file]?.children ?? []));
  }
  return found;
}

function without({ order, modules }: Modules, files: ReadonlySet<string>): Json {
  const kept = Object.entries(modules).filter(([file]) => !files.has(file));
  return {
    order: order.filter((file) => !files.has(file)),
    modules: Object.fromEntries(kept.map(([file, module]) => [file, { ...module, children: module.children.filter((child) => !files.has(child)) }])),
  };
}

function reduce(description: Json, role: SnapshotRole, notLoaded: ReadonlySet<string>): Json {
  const { modules, err, ...rest } = description as Tree;
  const lines = (err as string[]).filter((line) => !MANIFEST_WARNING.test(line));
  const reduced = { ...rest, modules: without(modules as unknown as Modules, notLoaded), err: lines };
  return role === 'function' ? withoutDelays(reduced) : reduced;
}

/** Both descriptions, reduced to what has to be equal. */
export function comparable(role: SnapshotRole, stock: Json, replayed: Json): readonly [Json, Json] {
  const notLoaded = closure((stock as Tree)['modules'] as unknown as Modules);
  return [reduce(stock, role, notLoaded), reduce(replayed, role, notLoaded)];
}

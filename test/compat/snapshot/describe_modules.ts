/**
 * Describes what `require` has left behind: which modules are loaded, in which order, and what each knows of itself,
 * its parent and its children. Runs in the processes that are compared.
 *
 * In a function process the snapshot may load modules of dependencies later than they are asked for, so only the
 * application's own are told there; in a host all are.
 */
import path from 'node:path';
import type { SnapshotRole } from '../../../lib/snapshot/manifest';
import { describeValue, keyName, type Json } from './describe_value';

const ROOT = path.join(__dirname, '../../..');
/** This package's own code differs by nature: one of the two processes has a snapshot to replay. */
const OWN = ['lib', 'test'].map((directory) => path.join(ROOT, directory) + path.sep);

const isOwn = (file: string) => OWN.some((directory) => file.startsWith(directory));

function describeModule(key: string, module: NodeModule): Json {
  return {
    key: key === module.filename ? '' : key,
    id: module.id,
    filename: module.filename,
    path: module.path,
    loaded: module.loaded,
    parent: module.parent?.filename ?? null,
    children: module.children.map(({ filename }) => filename),
    paths: module.paths,
    // Symbols that Node puts on modules are its notes to itself; probes of applications show what they are for.
    keys: Object.keys(module),
    made: [module instanceof module.constructor, module.constructor.name],
    required: module.require === (Object.getPrototypeOf(module) as NodeModule).require,
  };
}

export function describeModules(role: SnapshotRole, baseDir: string): Json {
  const entries = Object.entries(require.cache).flatMap(([key, module]) => (module === undefined || isOwn(key) ? [] : [{ key, module }]));
  const told = role === 'host' ? entries : entries.filter(({ key }) => key.startsWith(baseDir + path.sep));
  return { order: told.map(({ key }) => key), modules: Object.fromEntries(told.map(({ key, module }) => [key, describeModule(key, module)])) };
}

/** Tables of the module system that applications change, and that a loader might have changed for them. */
export function describeModuleSystem(): Json {
  const main = require.main;
  return {
    extensions: Object.keys(require.extensions),
    main: main === undefined ? null : path.basename(main.filename),
    globals: Object.fromEntries(Reflect.ownKeys(globalThis).map((key) => [keyName(key), typeof (globalThis as Record<string | symbol, unknown>)[key]] as const).sort(([a], [b]) => (a < b ? -1 : 1))),
    // What applications have noted of their boot.
    seen: describeValue((globalThis as { seen?: unknown }).seen),
  };
}

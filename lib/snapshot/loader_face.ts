/**
 * The file system as Egg's own loader sees it. Its files, and no others, get this face from `require('fs')` and
 * `require('globby')`, so that its questions can be recorded and answered, while applications and frameworks always
 * see the disk. Runs where a snapshot is recorded and where it is used.
 */
import fs from 'node:fs';
import type { Require } from './commonjs';

/** Files of Egg's loader: those that list directories and look for files. */
const LOADER_FILE = /[\\/]node_modules[\\/](?:egg-core|@eggjs[\\/]core)[\\/].*\bloader[\\/][\w\\/]+\.js$/;

export function isLoaderFile(filename: string): boolean {
  return LOADER_FILE.test(filename);
}

/** Who answers. Undefined: the disk is asked. */
export interface LoaderSource {
  exists(path: string): boolean | undefined;
  mode(path: string): number | undefined;
  realPath(path: string): string | undefined;
  /** `ask` has globby list the directory. */
  glob(patterns: unknown, directory: string, ask: () => string[]): readonly string[];
}

interface Globby {
  sync(patterns: unknown, options?: { readonly cwd?: string }): string[];
}

/** A `require` for a file of Egg's loader. `ask` is the module's own. */
export function loaderRequire(ask: Require, source: LoaderSource): Require {
  const face = fileSystem(source);
  return (request) => {
    if (request === 'fs' || request === 'node:fs') return face;
    if (request === 'globby') return globby(() => ask(request) as Globby, source);
    return ask(request);
  };
}

function fileSystem(source: LoaderSource): typeof fs {
  const realpathSync = Object.assign(
    (path: string, ...options: []) => (options.length === 0 ? source.realPath(path) : undefined) ?? fs.realpathSync(path, ...options),
    { native: fs.realpathSync.native },
  );
  const statSync = (path: string, ...options: []): fs.Stats => {
    const mode = options.length === 0 ? source.mode(path) : undefined;
    return mode === undefined ? fs.statSync(path, ...options) : statOf(mode);
  };
  const answers = { existsSync: (path: string) => source.exists(path) ?? fs.existsSync(path), statSync, realpathSync };
  return Object.assign(Object.create(fs) as typeof fs, answers);
}

/** Egg's loader asks a stat for nothing but the kind of a file. */
function statOf(mode: number): fs.Stats {
  return Object.assign(Object.create(fs.Stats.prototype) as fs.Stats, { mode });
}

/** globby itself is loaded only for a question that has no answer yet. */
function globby(load: () => Globby, source: LoaderSource): Globby {
  const sync: Globby['sync'] = (patterns, options) => {
    const ask = (): string[] => load().sync(patterns, options);
    const directory = options !== undefined && Object.keys(options).length === 1 ? options.cwd : undefined;
    return directory === undefined ? ask() : [...source.glob(patterns, directory, ask)];
  };
  return new Proxy(function globby() {} as unknown as Globby, {
    get: (_target, key) => (key === 'sync' ? sync : Reflect.get(load(), key) as unknown),
    apply: (_target, self, args) => Reflect.apply(load() as unknown as () => unknown, self, args) as unknown,
  });
}

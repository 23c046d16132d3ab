/**
 * Loads config/function, the optional file in which an application declares specs. Runs at boot in the agent, and in
 * development again whenever the file may have been edited.
 */
import fs from 'node:fs';
import path from 'node:path';
import { types } from 'node:util';
import { CartonError, describe } from '../support/errors';
import { codeFile } from './code_file';

export interface LoadedSpecFile {
  /** Path below the application's root, as messages name it; with `.ts` where there is no file. */
  readonly place: string;
  /** What the file exports; an empty object where there is no file. */
  readonly declarations: unknown;
}

export interface SpecFileOptions {
  /** Relative to `baseDir`, without extension. */
  readonly specFile: string;
  /** Drop what `require` kept of the file, and of what it imported from its own directory, before loading it. */
  readonly fresh: boolean;
}

/** @throws CARTON_SPEC_INVALID where the file throws, cannot be required or is not compiled. */
export function loadSpecFile(baseDir: string, { specFile, fresh }: SpecFileOptions): LoadedSpecFile {
  const absolute = path.resolve(baseDir, specFile);
  const file = codeFile(absolute);
  if (file === undefined) {
    // Going on without it would drop who may call and every limit, so Egg's way (take no notice) is not followed.
    if (fs.existsSync(`${absolute}.ts`)) throw uncompiled(specFile);
    return { place: `${specFile}.ts`, declarations: {} };
  }
  const place = `${specFile}${path.extname(file)}`;
  const resolved = fs.realpathSync(file);
  if (fresh) forget(resolved, path.dirname(resolved) + path.sep);
  try {
    return { place, declarations: defaultOf(require(resolved) as unknown, place) };
  } catch (error) {
    if (error instanceof CartonError) throw error;
    const where = placeOfError(error, baseDir);
    throw new CartonError('CARTON_SPEC_INVALID', {
      cause: error,
      hint: `${place} could not be loaded${where === undefined ? '' : `, at ${where}`}: ${describe(error)}`,
    });
  }
}

function uncompiled(specFile: string): CartonError {
  return new CartonError('CARTON_SPEC_INVALID', {
    of: specFile, expected: `${specFile}.js`, got: `${specFile}.ts only`, hint: 'Run the build, or start with EGG_TYPESCRIPT=true.',
  });
}

function defaultOf(loaded: unknown, place: string): unknown {
  if (typeof loaded !== 'object' || loaded === null) return loaded;
  const isModule = types.isModuleNamespaceObject(loaded) || (loaded as { __esModule?: unknown }).__esModule === true;
  if (!isModule) return loaded;
  if ('default' in loaded) return loaded.default;
  throw new CartonError('CARTON_SPEC_INVALID', { of: place, expected: 'a default export with the specs', got: `exports ${Object.keys(loaded).join(', ') || 'of types only'}` });
}

/** Drops a module, and those below `directory` that it imported, from the cache and from their parents' lists. */
function forget(file: string, directory: string): void {
  const loaded = require.cache[file];
  if (loaded === undefined) return;
  delete require.cache[file];
  for (const child of loaded.children) {
    if (child.filename.startsWith(directory) && !child.filename.includes('node_modules')) forget(child.filename, directory);
  }
  // A parent's list would otherwise grow, and keep every old version alive, with each edit.
  for (const other of Object.values(require.cache)) {
    const at = other?.children.indexOf(loaded) ?? -1;
    if (at >= 0) other?.children.splice(at, 1);
  }
}

/** File and line of the application that an error comes from: a syntax error's first line, else the first frame. */
function placeOfError(error: unknown, baseDir: string): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const roots = [...new Set([baseDir, fs.realpathSync(baseDir)])].map((root) => root + path.sep);
  for (const line of error.stack.split('\n')) {
    const root = roots.find((candidate) => line.includes(candidate));
    const match = root === undefined ? null : /^([^:()]+):(\d+)/.exec(line.slice(line.indexOf(root) + root.length));
    if (match !== null && !line.includes('node_modules')) return `${match[1] as string}:${match[2] as string}`;
  }
  return undefined;
}

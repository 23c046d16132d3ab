/**
 * Finds an application's functions: the files in app/function and what they export, without running any. Runs at
 * boot, in the agent. The result depends on names and texts of files alone, so every host finds the same.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { codeExtensions, codeFile, OWN_EXTENSION } from './code_file';
import { lexExports, prepareLexers } from './exports';
import { readEach, realpathOrNone, walk } from './files';
import type { LexedExports } from './lexed_exports';
import { show, type Problem } from './problems';

export interface DiscoveredFile {
  /** `dir/file`. */
  readonly name: string;
  /** What `FunctionSpec.file` is: path below the application's root, see there. */
  readonly file: string;
  /** Path below the application's root with its extension, for messages. */
  readonly path: string;
  /** `default` and named exports that may be functions. */
  readonly exports: readonly string[];
  /** False where the file may export more than its text shows; a spec may name such an export. */
  readonly complete: boolean;
}

export interface Discovery {
  /** Sorted by name. */
  readonly files: readonly DiscoveredFile[];
  readonly problems: readonly Problem[];
  /** Names whose TypeScript is there but not compiled, in a process that cannot load TypeScript. */
  readonly uncompiled: readonly string[];
}

/** Bytes of one function file. A bundle of a whole application is below it; lexing takes a second per 50 MB. */
export const MAX_SOURCE_BYTES = 16 * 1024 * 1024;

const CODE = /\.(?:[cm]?[jt]s|[jt]sx)$/;
const IGNORED = /\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]sx?$/;
const SEGMENT = /^[A-Za-z0-9_-]+$/;
const NAME_EXPECTED = 'letters, digits, "-" and "_" only';

/** `functionDirectory` is relative to `baseDir`; one that does not exist has no functions. */
export async function discover(baseDir: string, functionDirectory: string): Promise<Discovery> {
  await prepareLexers();
  const boundary = (await realpathOrNone(baseDir)) ?? baseDir;
  const root = path.resolve(boundary, functionDirectory);
  const prefix = functionDirectory.replace(/^\.\/|\/+$/g, '');
  const { files, escaping } = await walk(root, {
    boundary,
    enter: (directory) => !isHidden(directory) && !/(?:^|\/)(?:node_modules|__tests__)$/.test(directory),
    take: (file) => CODE.test(file) && !IGNORED.test(file) && !isHidden(file),
  });
  const problems = escaping.map((file): Problem => ({
    code: 'CARTON_SPEC_INVALID', place: `${prefix}/${file}`, expected: 'a file inside the application, which the revision\'s hash covers', got: 'a link that leads out of it',
  }));
  const chosen = chooseFiles(files, prefix, problems);
  const discovered: DiscoveredFile[] = [];
  let functions = 0;
  const lexed = await readEach(chosen.files, (file) => lexFile(path.join(root, file), boundary, new Set()));
  for (const [index, file] of chosen.files.entries()) {
    const found = lexed[index] as LexedExports;
    functions += found.names.length;
    if (functions > LIMITS.functions) throw new CartonError('CARTON_SPEC_INVALID', { of: prefix, expected: `at most ${LIMITS.functions} functions`, got: 'more' });
    problems.push(...exportProblems(`${prefix}/${file}`, found.names));
    const name = withoutExtension(file);
    discovered.push({ name, file: `${prefix}/${OWN_EXTENSION.test(file) ? file : name}`, path: `${prefix}/${file}`, exports: found.names, complete: found.complete });
  }
  return { files: discovered, problems, uncompiled: chosen.uncompiled };
}

function isHidden(file: string): boolean {
  return path.posix.basename(file).startsWith('.');
}

function withoutExtension(file: string): string {
  return file.slice(0, -path.extname(file).length);
}

/** One file per name: what this process loads for it. */
function chooseFiles(files: readonly string[], prefix: string, problems: Problem[]): { files: readonly string[]; uncompiled: readonly string[] } {
  const extensions = codeExtensions();
  const chosen = new Map<string, string>();
  const uncompiled = new Set<string>();
  for (const file of files) {
    const name = withoutExtension(file);
    const place = `${prefix}/${file}`;
    const extension = path.extname(file);
    if (!name.split('/').every((segment) => SEGMENT.test(segment))) {
      problems.push({ code: 'CARTON_SPEC_NAME_INVALID', place, expected: NAME_EXPECTED, got: show(name) });
    } else if (extension === '.ts' && !extensions.includes('.ts')) {
      uncompiled.add(name);
    } else if (!extensions.includes(extension)) {
      problems.push({ code: 'CARTON_SPEC_INVALID', place, expected: 'a function file that ends in .ts, .js, .cjs or .mjs', got: extension });
    } else {
      const other = chosen.get(name);
      if (other !== undefined && (OWN_EXTENSION.test(other) || OWN_EXTENSION.test(file))) {
        problems.push({ code: 'CARTON_SPEC_INVALID', place, expected: 'one file per function', got: `${prefix}/${other} beside it` });
      }
      // Files are sorted, so a `.ts` comes after the `.js` that was built from it and takes its place.
      chosen.set(name, file);
    }
  }
  const left = [...uncompiled].filter((name) => !chosen.has(name));
  return { files: [...chosen.values()].sort((a, b) => (withoutExtension(a) < withoutExtension(b) ? -1 : 1)), uncompiled: left };
}

function exportProblems(place: string, names: readonly string[]): Problem[] {
  const wrong = names.filter((name) => !SEGMENT.test(name));
  return wrong.map((name) => ({ code: 'CARTON_SPEC_NAME_INVALID', place: `${place}: export ${show(name)}`, expected: NAME_EXPECTED, got: show(name) }));
}

/** The exports of one file and of the files that it hands on with `export *`; each is read once, so cycles end. */
async function lexFile(file: string, boundary: string, seen: Set<string>): Promise<LexedExports> {
  seen.add(file);
  const source = await readSource(file);
  if (source === undefined) return { names: [], reexports: [], complete: true };
  const lexed = lexExports(source, file);
  const names = new Set(lexed.names);
  let { complete } = lexed;
  for (const { from, withDefault } of lexed.reexports) {
    const target = resolveRelative(file, from, boundary);
    if (target === undefined) complete = false;
    if (target === undefined || seen.has(target)) continue;
    const inner = await lexFile(target, boundary, seen);
    for (const name of inner.names) if (withDefault || name !== 'default') names.add(name);
    complete &&= inner.complete;
  }
  return { names: [...names], reexports: [], complete };
}

/** Undefined for a file that went away since it was listed: an editor replaces files so, in development. */
async function readSource(file: string): Promise<string | undefined> {
  try {
    const { size } = await fs.stat(file);
    if (size > MAX_SOURCE_BYTES) throw new CartonError('CARTON_SPEC_INVALID', { of: file, expected: `at most ${MAX_SOURCE_BYTES} bytes`, got: `${size}` });
    return await fs.readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The application's file that an import means; undefined for packages, whose exports are not looked at. */
function resolveRelative(file: string, from: string, boundary: string): string | undefined {
  if (!/^\.{1,2}(?:\/|$)/.test(from)) return undefined;
  const absolute = path.resolve(path.dirname(file), from);
  const target = codeFile(absolute.replace(/\.(?:js|ts)$/, '')) ?? codeFile(path.join(absolute, 'index'));
  return target?.startsWith(boundary + path.sep) === true ? target : undefined;
}

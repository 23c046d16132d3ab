/**
 * Compiles and runs a CommonJS module as Node does, but through `vm.Script`, whose compile cache can be taken after the
 * module ran. Recording and replay share it, so that what is replayed is what was recorded. Runs in both.
 *
 * Node's own way cannot give such a cache: it knows only the functions that had been compiled when the file was loaded.
 */
import Module from 'node:module';
import { dirname } from 'node:path';
import { constants, Script } from 'node:vm';

/** Node's wrapper; the line break keeps a comment on the last line from swallowing the end. */
const HEAD = '(function (exports, require, module, __filename, __dirname) { ';
const TAIL = '\n})';

/** `import()` in a script resolves as in the file itself. Undefined before Node 20.12, where it cannot be had. */
const DEFAULT_LOADER = (constants as typeof constants | undefined)?.USE_MAIN_CONTEXT_DEFAULT_LOADER;

/** What Node keeps in `Module` and does not declare. */
export interface ModuleInternals {
  _resolveFilename(this: unknown, request: string, parent: NodeModule | null | undefined, isMain?: boolean, options?: ResolveOptions): string;
  readonly _resolveLookupPaths: (request: string, parent: NodeModule) => string[] | null;
  readonly _extensions: Record<string, (module: CompiledModule, filename: string) => void>;
  readonly _cache: Record<string, NodeModule | undefined>;
  readonly prototype: { _compile: Compile };
}

export interface ResolveOptions {
  readonly paths?: readonly string[];
}

type Compile = (this: CompiledModule, source: string, filename: string) => unknown;
export type CompiledModule = NodeModule & { readonly _compile: Compile };

export const internals = Module as unknown as ModuleInternals;

/** What a script is compiled from: the source in Node's wrapper. */
export function wrap(source: string): string {
  // In the middle of a script a hashbang is no comment any more.
  return HEAD + (source.startsWith('#!') ? `//${source.slice(2)}` : source) + TAIL;
}

/** The source again; a hashbang stays a comment. */
export function unwrap(text: string): string {
  return text.slice(HEAD.length, -TAIL.length);
}

/** Whether a source can be compiled here with the meaning that it has in Node. */
export function isCompilable(source: string): boolean {
  return DEFAULT_LOADER !== undefined || !/\bimport\s*\(/.test(source);
}

/** Throws what V8 throws for text that is no script. */
export function compile(text: string, filename: string, cachedData?: Buffer): Script {
  // Columns of the first line count from the source's start, as in Node.
  return new Script(text, { filename, columnOffset: -HEAD.length, cachedData, importModuleDynamically: DEFAULT_LOADER });
}

export type Require = (request: string) => unknown;

/** Runs a compiled module. `ask` stands in for its `require`, with the same properties. */
export function evaluate(script: Script, module: CompiledModule, ask?: Require): void {
  const run = script.runInThisContext() as (...args: unknown[]) => unknown;
  const { filename } = module;
  run.call(module.exports, module.exports, requireOf(module, ask), module, filename, dirname(filename));
}

/** As Node's own, which cannot be had without compiling the Node way. */
function requireOf(module: CompiledModule, ask: Require | undefined): unknown {
  const require = function require(request: string): unknown {
    return ask === undefined ? module.require(request) : ask(request);
  };
  const resolve = (request: string, options?: ResolveOptions): string => internals._resolveFilename(request, module, false, options);
  resolve.paths = (request: string): string[] | null => internals._resolveLookupPaths(request, module);
  require.resolve = resolve;
  require.main = process.mainModule;
  require.extensions = internals._extensions;
  require.cache = internals._cache;
  return require;
}

const stockCompile = internals.prototype._compile;

/** Whether somebody else compiles this module, as transpilers and instrumentation do; then the source goes to them. */
export function isCompiledElsewhere(module: CompiledModule): boolean {
  return module._compile !== stockCompile;
}

/** The error that Node throws for a request without an answer. */
export function notFound(request: string, parent: NodeModule | null | undefined): Error {
  const requireStack: string[] = [];
  // `parent` is deprecated for users, who cannot know who came first; Node's message is made from it all the same.
  for (let cursor = parent; cursor != null; cursor = (cursor as { parent?: NodeModule | null }).parent) requireStack.push(cursor.filename || cursor.id);
  const stack = requireStack.length === 0 ? '' : `\nRequire stack:\n- ${requireStack.join('\n- ')}`;
  return Object.assign(new Error(`Cannot find module '${request}'${stack}`), { code: 'MODULE_NOT_FOUND', requireStack });
}

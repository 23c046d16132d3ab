/**
 * Compiles and runs a CommonJS module as Node does, but through `vm.Script`, whose compile cache can be taken after the
 * module ran. Recording and replay share it, so that what is replayed is what was recorded. Runs in both.
 *
 * Node's own way cannot give such a cache: it knows only the functions that had been compiled when the file was loaded.
 */
import Module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compileFunction, Script } from 'node:vm';

/** Node's wrapper; the line break keeps a comment on the last line from swallowing the end. */
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const HEAD = `(function (${PARAMETERS.join(', ')}) { `;
const TAIL = '\n})';
/** As in `Module.wrapper`. */
const NODE_TAIL = `${TAIL};`;

/** What Node keeps in `Module` and does not declare. */
export interface ModuleInternals {
  _resolveFilename(this: unknown, request: string, parent: NodeModule | null | undefined, isMain?: boolean, options?: ResolveOptions): string;
  readonly _nodeModulePaths: (from: string) => string[];
  readonly _resolveLookupPaths: (request: string, parent: NodeModule) => string[] | null;
  readonly _extensions: Record<string, (module: CompiledModule, filename: string) => void>;
  readonly _cache: Record<string, NodeModule | undefined>;
  readonly wrap: unknown;
  readonly wrapper: readonly [string, string];
  /** What was resolved in this process. */
  _pathCache: Record<string, string>;
  readonly prototype: { _compile: Compile };
}

export interface ResolveOptions {
  readonly paths?: readonly string[];
}

type Compile = (this: CompiledModule, source: string, filename: string, ...rest: unknown[]) => unknown;
export type CompiledModule = NodeModule & { readonly _compile: Compile; [mark: symbol]: unknown };

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

/** `import(`, or what may become one behind a comment; a string counts, since it may be code by and by. */
const IMPORT_CALL = /\bimport\s*[(/]/;

/**
 * Whether a source can be compiled here with the meaning that it has in Node. One that imports cannot: V8 gives a
 * function out of a compile cache no way to, and the way for others is an experiment in Node 20.
 */
export function isCompilable(source: string): boolean {
  return !IMPORT_CALL.test(source);
}

/** Whether Node takes a source for CommonJS: what closes the wrapper and opens it again is no function's body. */
export function isCommonJs(source: string): boolean {
  try {
    compileFunction(source, PARAMETERS);
    return true;
  } catch {
    // Node compiles it next, and says what is wrong with it, or takes it for an ES module.
    return false;
  }
}

/** Throws what V8 throws for text that is no script. */
export function compile(text: string, filename: string, cachedData?: Buffer): Script {
  // Columns of the first line count from the source's start, as in Node.
  return new Script(text, { filename, columnOffset: -HEAD.length, cachedData });
}

export type Require = (request: string) => unknown;

/** Runs a compiled module. */
export function evaluate(script: Script, { module, filename, ask }: Evaluation): void {
  const run = script.runInThisContext() as (...args: unknown[]) => unknown;
  if (FORMAT !== undefined) module[FORMAT] = 'commonjs';
  if (EXECUTING !== undefined) module[EXECUTING] = true;
  run.call(module.exports, module.exports, requireOf(module, ask), module, filename, dirname(filename));
  if (EXECUTING !== undefined) module[EXECUTING] = false;
}

interface Evaluation {
  readonly module: CompiledModule;
  readonly filename: string;
  /** Stands in for the module's own `require`. */
  readonly ask?: Require;
}

/** Node's marks on a module that it compiles, by which it refuses cycles through ES modules; this module has them. */
const [FORMAT, EXECUTING] = ['kFormat', 'kIsExecuting'].map((name) => Object.getOwnPropertySymbols(module).find(({ description }) => description === name));

/** As Node's own, which cannot be had without compiling the Node way. */
function requireOf(module: CompiledModule, ask: Require | undefined): unknown {
  const require = function require(request: string): unknown {
    return ask === undefined ? module.require(request) : ask(request);
  };
  const resolve = (request: string, options?: ResolveOptions): string => {
    expectString(request);
    return internals._resolveFilename(request, module, false, options);
  };
  resolve.paths = (request: string): string[] | null => {
    expectString(request);
    return internals._resolveLookupPaths(request, module);
  };
  require.resolve = resolve;
  require.main = process.mainModule;
  require.extensions = internals._extensions;
  require.cache = internals._cache;
  return require;
}

/** Throws the error that Node has for anything else. */
function expectString(request: unknown): void {
  if (typeof request !== 'string') createRequire(__filename).resolve(request as string);
}

const stockCompile = internals.prototype._compile;
const { wrap: stockWrap, wrapper: stockWrapper } = internals;

/**
 * Whether somebody else compiles this module, as transpilers and instrumentation do, or has Node do it in another
 * wrapper; then the source goes to them.
 */
export function isCompiledElsewhere(module: CompiledModule): boolean {
  const { wrap: nowWrap, wrapper } = internals;
  return module._compile !== stockCompile || nowWrap !== stockWrap || wrapper !== stockWrapper || wrapper[0] !== HEAD || wrapper[1] !== NODE_TAIL;
}

/** The error that Node throws for a request without an answer. */
export function notFound(request: string, parent: NodeModule | null | undefined): Error {
  const requireStack: string[] = [];
  // `parent` is deprecated for users, who cannot know who came first; Node's message is made from it all the same.
  for (let cursor = parent; cursor != null; cursor = (cursor as { parent?: NodeModule | null }).parent) requireStack.push(cursor.filename || cursor.id);
  const stack = requireStack.length === 0 ? '' : `\nRequire stack:\n- ${requireStack.join('\n- ')}`;
  return Object.assign(new Error(`Cannot find module '${request}'${stack}`), { code: 'MODULE_NOT_FOUND', requireStack });
}

/** Node's own, also where a replay answers in its place by now. */
const stockResolve = internals._resolveFilename;

/** What Node would answer to a file in `directory` now. Undefined where it finds nothing. */
export function resolveFrom(directory: string, request: string, paths?: readonly string[]): string | undefined {
  const parent = new Module(join(directory, 'x.js'));
  parent.filename = parent.id;
  parent.paths = internals._nodeModulePaths(directory);
  try {
    return stockResolve.call(Module, request, parent, false, paths === undefined ? undefined : { paths });
  } catch {
    return undefined;
  }
}

interface WithHooks {
  registerHooks?: (...hooks: unknown[]) => unknown;
}

/** Calls `heard` before hooks are registered by which Node finds or compiles code otherwise (Node 22.15 and later). */
export function onLoadingHooks(heard: () => void): void {
  const module = Module as WithHooks;
  const register = module.registerHooks;
  if (register === undefined) return;
  module.registerHooks = function registerHooks(...hooks) {
    heard();
    return register.apply(this, hooks);
  };
}

/**
 * Loads the functions of an instance's group. A function that cannot be loaded does not end the instance: it answers
 * with its load error, and the others of the group serve.
 */
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { CartonError, describe, toWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { codeFile } from '../spec/code_file';
import type { FunctionSpec } from '../spec/types';
import type { OutputPrefix } from './output_prefix';
import { placeOf, withoutColours } from './place';

export type AnyFunction = (context: unknown, ...args: unknown[]) => unknown;

export interface LoadedFunction {
  readonly spec: FunctionSpec;
  /** Undefined where loading failed; `error` says why. */
  readonly call: AnyFunction | undefined;
  readonly error: WireError | undefined;
}

export interface LoadFunctionsOptions {
  readonly baseDir: string;
  /** Errors carry their stack. */
  readonly development: boolean;
  /** In development: what a function prints has its name in front, from its loading on. */
  readonly output: OutputPrefix | undefined;
}

export async function loadFunctions(specs: readonly FunctionSpec[], options: LoadFunctionsOptions): Promise<LoadedFunction[]> {
  return Promise.all(specs.map((spec) => printing(spec, options.output, () => loadFunction(spec, options))));
}

/** The file that `spec` means, whether it exists or not. */
export function fileOf(baseDir: string, spec: FunctionSpec): string {
  const file = isAbsolute(spec.file) ? spec.file : join(baseDir, spec.file);
  return codeFile(file) ?? file;
}

function printing<T>(spec: FunctionSpec, output: OutputPrefix | undefined, call: () => T): T {
  return output === undefined ? call() : output.run(spec.name, call);
}

async function loadFunction(spec: FunctionSpec, { baseDir, development, output }: LoadFunctionsOptions): Promise<LoadedFunction> {
  const file = fileOf(baseDir, spec);
  if (!existsSync(file)) return { spec, call: undefined, error: notAFunction(spec, 'no such file') };
  try {
    const exported = pickExport(await loadModule(file), spec.exportName);
    if (typeof exported === 'function') {
      const call = exported as AnyFunction;
      const named: AnyFunction = (context, ...args) => printing(spec, output, () => call(context, ...args));
      return { spec, call: output === undefined ? call : named, error: undefined };
    }
    return { spec, call: undefined, error: notAFunction(spec, exported === undefined ? 'nothing' : `a ${typeof exported}`) };
  } catch (cause) {
    return { spec, call: undefined, error: toWire(loadError(spec, baseDir, cause, development)) };
  }
}

function notAFunction(spec: FunctionSpec, got: string): WireError {
  return toWire(new CartonError('CARTON_RUNTIME_NOT_A_FUNCTION', { of: `export "${spec.exportName}" of ${spec.file}`, expected: 'a function', got }));
}

async function loadModule(path: string): Promise<unknown> {
  if (path.endsWith('.mjs')) return import(path);
  try {
    return require(path) as unknown;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_REQUIRE_ESM') return import(path);
    throw error;
  }
}

function pickExport(module: unknown, name: string): unknown {
  if (name !== 'default') return (module as Record<string, unknown> | undefined)?.[name];
  const exported = (module as { default?: unknown } | undefined)?.default;
  return exported ?? module;
}

/** Lines of a load error that tell file, line and code frame; compilers print a few, a stack is longer. */
const HINT_LINES = 8;

function loadError(spec: FunctionSpec, baseDir: string, cause: unknown, development: boolean): CartonError {
  // Compilers show whole files; an error travels in one frame.
  const told = withoutColours(describe(cause)).slice(0, LIMITS.errorCharacters);
  const message = cause instanceof Error ? `${cause.name}: ${told}` : told;
  const text = cause instanceof Error ? withoutColours(cause.stack ?? message) : message;
  const place = placeOf(text, baseDir);
  return new CartonError('CARTON_RUNTIME_LOAD_FAILED', {
    of: `function "${spec.name}"`,
    expected: `${spec.file} to load`,
    got: message,
    hint: place === undefined ? undefined : `At ${place}.`,
    thrown: development && cause instanceof Error
      ? { name: cause.name, message: told, stack: text.split('\n').slice(0, HINT_LINES).join('\n').slice(0, LIMITS.errorCharacters) }
      : undefined,
    cause,
  });
}

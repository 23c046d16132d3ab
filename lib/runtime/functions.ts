/**
 * Loads the functions of an instance's group. A function that cannot be loaded does not end the instance: it answers
 * with its load error, and the others of the group serve.
 */
import { isAbsolute, join } from 'node:path';
import { CartonError, toWire, type WireError } from '../support/errors';
import { codeFile } from '../spec/code_file';
import type { FunctionSpec } from '../spec/types';
import { placeOf } from './place';

export type AnyFunction = (context: unknown, ...args: unknown[]) => unknown;

export interface LoadedFunction {
  readonly spec: FunctionSpec;
  /** Undefined where loading failed; `error` says why. */
  readonly call: AnyFunction | undefined;
  readonly error: WireError | undefined;
}

export async function loadFunctions(baseDir: string, specs: readonly FunctionSpec[], development: boolean): Promise<LoadedFunction[]> {
  return Promise.all(specs.map((spec) => loadFunction(baseDir, spec, development)));
}

async function loadFunction(baseDir: string, spec: FunctionSpec, development: boolean): Promise<LoadedFunction> {
  const file = isAbsolute(spec.file) ? spec.file : join(baseDir, spec.file);
  try {
    const exported = pickExport(await loadModule(file), spec.exportName);
    if (typeof exported === 'function') return { spec, call: exported as AnyFunction, error: undefined };
    const error = new CartonError('CARTON_RUNTIME_NOT_A_FUNCTION', {
      of: `export "${spec.exportName}" of ${spec.file}`,
      expected: 'a function',
      got: exported === undefined ? 'nothing' : `a ${typeof exported}`,
    });
    return { spec, call: undefined, error: toWire(error) };
  } catch (cause) {
    return { spec, call: undefined, error: toWire(loadError(spec, baseDir, cause, development)) };
  }
}

async function loadModule(file: string): Promise<unknown> {
  const path = codeFile(file) ?? require.resolve(file);
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
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  const place = placeOf(text, baseDir);
  return new CartonError('CARTON_RUNTIME_LOAD_FAILED', {
    of: `function "${spec.name}"`,
    expected: `${spec.file} to load`,
    got: cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause),
    hint: place === undefined ? undefined : `At ${place}.`,
    thrown: development && cause instanceof Error
      ? { name: cause.name, message: cause.message, stack: text.split('\n').slice(0, HINT_LINES).join('\n') }
      : undefined,
    cause,
  });
}

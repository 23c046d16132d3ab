/**
 * Function specs as the rest of the system sees them: validated, complete, frozen. What a user writes is a
 * `FunctionDeclaration`; `resolve.ts` turns declarations and files into these.
 */
import type { FunctionDefaults, RateLimit } from '../support/host_environment';

/** Who may call: a signed-in user, anybody (the user is resolved if there is one), or anybody (it is not looked for). */
export type Auth = 'required' | 'optional' | 'none';

/** Where one argument of an http trigger comes from. */
export type ArgumentSource =
  | { readonly from: 'path' | 'query' | 'header'; readonly name: string; readonly as?: 'string' | 'number' | 'boolean' }
  | { readonly from: 'body'; readonly name?: string };

export interface OneapiTrigger {
  readonly type: 'oneapi';
}

export interface HttpTrigger {
  readonly type: 'http';
  readonly method: HttpMethod;
  /** Absolute path; `:name` stands for one segment. */
  readonly path: string;
  /** Sources of the arguments after `ctx`, in their order; without it the body is a JSON array of them. */
  readonly args?: readonly ArgumentSource[];
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Trigger = OneapiTrigger | HttpTrigger;

/** What a user declares for one function in `defineFunctions({ name: {...} })`; every key may be left out. */
export interface FunctionDeclaration extends Partial<FunctionDefaults> {
  readonly triggers?: readonly Trigger[];
  /** Functions with the same group share their instances. */
  readonly group?: string;
  readonly auth?: Auth;
  /** Middleware clients that it may use, such as `mysql` or `mysql/db1`. @default all */
  readonly clients?: readonly string[];
}

export interface FunctionSpec extends FunctionDefaults {
  /** `dir/file`, or `dir/file.export` for a named export. */
  readonly name: string;
  /**
   * Path below the application's root, without its extension where that is `.ts` or `.js`, so that a build does not
   * change it; `.cjs` and `.mjs` stay. `codeFile` in `code_file.ts` finds the file.
   */
  readonly file: string;
  /** `default`, or the named export. */
  readonly exportName: string;
  readonly triggers: readonly Trigger[];
  /** Key of the group in `Revision.groups`. */
  readonly group: string;
  readonly auth: Auth;
  readonly rateLimit: RateLimit | null;
}

/** What functions that share instances have in common. A function on its own is a group of one. */
export interface GroupSpec {
  /** `name` of the only function, or `group:<name>`. */
  readonly key: string;
  /** Names in a fixed order: invocations name a function by its index here. */
  readonly functions: readonly string[];
  readonly concurrency: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  readonly idleTimeoutMs: number;
  /** Middleware clients that its instances may use of those that sidecars hold. @default all */
  readonly clients?: readonly string[];
}

/** One immutable version of an application's code and specs. */
export interface Revision {
  readonly application: string;
  /** First 16 hexadecimal digits of SHA-256 over code, specs and lockfile. */
  readonly revision: string;
  readonly functions: readonly FunctionSpec[];
  readonly groups: readonly GroupSpec[];
}

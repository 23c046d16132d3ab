/**
 * The schema of what a user declares in config/function.ts. Runs at boot. It knows one declaration at a time; what
 * holds between declarations, files and the application is `resolve.ts`'s.
 */
import * as v from 'valibot';
import { check, describeKeys, documented, either, exactObject, list, oneOf, text, type KeyRow } from './checks';
import { FUNCTION_LIMITS, RATE_LIMIT_KEYS } from './function_limits';
import { show, type Problem } from './problems';
import type { ArgumentSource, Auth, FunctionDeclaration, HttpMethod, Trigger } from './types';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const satisfies readonly HttpMethod[];
const AUTHS = ['required', 'optional', 'none'] as const satisfies readonly Auth[];

/** More paths or arguments than this on one function are a generated file gone wrong. */
const MAX_TRIGGERS = 32;
const MAX_ARGUMENTS = 64;
const MAX_NAME = 256;
/** All of them travel in the first frame of a session. */
const MAX_CLIENTS = 24;

const name = (what: string) => text((value) => value.length > 0 && value.length <= MAX_NAME, `${what} of 1 to ${MAX_NAME} characters`);

export const VALUE_ARGUMENT_KEYS = {
  from: documented(oneOf(['path', 'query', 'header', 'body'] as const), {
    description: 'Where the argument comes from.',
    unit: '',
    default: undefined,
    effect: '`path` must name a parameter of the path; `body` is not possible with GET.',
  }),
  name: documented(name('a name'), {
    description: 'Parameter of the path, key of the query, name of the header, or property of the JSON body; with `body` it may be left out, which means the whole body.',
    unit: '',
    default: undefined,
    effect: 'Where the request lacks it, the argument is undefined.',
  }),
  as: documented(v.optional(oneOf(['string', 'number', 'boolean'] as const)), {
    description: 'What the text is read as; not with `body`, whose values have types already.',
    unit: '',
    default: 'string',
    effect: 'Text that cannot be read so is refused with CARTON_RUNTIME_BAD_ARGUMENT (400).',
  }),
};
const BODY_ARGUMENT_KEYS = { from: VALUE_ARGUMENT_KEYS.from, name: v.optional(VALUE_ARGUMENT_KEYS.name) };

const argumentSource = either<ArgumentSource>(
  (input) => (input['from'] === 'body' ? exactObject(BODY_ARGUMENT_KEYS, 'an argument from the body') : exactObject(VALUE_ARGUMENT_KEYS, 'an argument source')) as v.GenericSchema<unknown, ArgumentSource>,
  'an object such as { from: "query", name: "q" }',
);

export const ONEAPI_TRIGGER_KEYS = {
  type: documented(oneOf(['oneapi', 'http'] as const), {
    description: '`oneapi`: called by name below `carton.ingress.oneapiPath`. `http`: a method and path of its own.',
    unit: '',
    default: undefined,
    effect: 'Another type is refused.',
  }),
};
export const HTTP_TRIGGER_KEYS = {
  ...ONEAPI_TRIGGER_KEYS,
  method: documented(oneOf(METHODS), {
    description: 'Method of the requests that it takes.',
    unit: '',
    default: undefined,
    effect: 'A request to the path with another method goes on to the application; GET takes HEAD, too.',
  }),
  path: documented(text((value) => value.startsWith('/'), 'a path that starts with "/"'), {
    description: 'Absolute path; a segment `:name` stands for any one segment. Neither wildcards nor an empty segment, so no trailing "/".',
    unit: '',
    default: undefined,
    effect: 'Two triggers of the same method and shape stop the boot with CARTON_SPEC_DUPLICATE_PATH, one below `ingress.oneapiPath` with CARTON_SPEC_INVALID.',
  }),
  args: documented(v.optional(list(argumentSource, 'argument sources', MAX_ARGUMENTS)), {
    description: 'Sources of the function\'s arguments after `ctx`, in their order. Without it the body is a JSON array of arguments, as with `oneapi`.',
    unit: '',
    default: undefined,
    effect: 'See `triggers[].args[]`.',
  }),
};

const trigger = either<Trigger>(
  (input) => (input['type'] === 'http' ? exactObject(HTTP_TRIGGER_KEYS, 'an http trigger') : exactObject(ONEAPI_TRIGGER_KEYS, 'a trigger')) as v.GenericSchema<unknown, Trigger>,
  'an object such as { type: "oneapi" }',
);

const TRIGGERS_PHRASE = `an array of 1 to ${MAX_TRIGGERS} triggers (leave the key out for oneapi)`;

export const SPEC_KEYS = {
  triggers: documented(v.pipe(v.array(trigger, TRIGGERS_PHRASE), v.minLength(1, TRIGGERS_PHRASE), v.maxLength(MAX_TRIGGERS, TRIGGERS_PHRASE)), {
    description: 'What causes invocations. Where a spec lists triggers, `oneapi` is among them only if it is listed.',
    unit: '',
    default: [{ type: 'oneapi' }],
    effect: 'See `triggers[]`.',
  }),
  group: documented(text((value) => /^[A-Za-z0-9_-]{1,64}$/.test(value), '1 to 64 letters, digits, "-" and "_"'), {
    description: 'Functions of the same group share their instances, and with them `concurrency`, `minInstances`, `maxInstances` and `idleTimeoutMs`.',
    unit: '',
    default: undefined,
    effect: 'Different values of a shared limit stop the boot with CARTON_SPEC_GROUP_DISAGREES; a value given by one holds for all.',
  }),
  auth: documented(oneOf(AUTHS), {
    description: 'Who may call: a signed-in user, anybody (the user is resolved if there is one), or anybody (it is not looked for).',
    unit: '',
    default: '"required" where `carton.resolveUser` is set, else "none"',
    effect: 'With `required`, a request without a user gets CARTON_INGRESS_USER_REQUIRED (401). `required` and `optional` need `carton.resolveUser`.',
  }),
  clients: documented(list(text((value) => /^[\w-]{1,64}(?:\/[\w.-]{1,64})?$/.test(value), 'a client such as "mysql" or "mysql/db1"'), 'clients such as "mysql" or "mysql/db1"', MAX_CLIENTS), {
    description: 'Middleware clients that the function may use of those that sidecars hold, by their names on `app`, or one of several of a name. Clients that are local are not restricted. Functions of a group have the same.',
    unit: '',
    default: 'all of them',
    effect: 'A call to another one fails with CARTON_RPC_NO_TARGET. Different lists in one group stop the boot with CARTON_SPEC_GROUP_DISAGREES; a list given by one holds for all.',
  }),
  ...FUNCTION_LIMITS,
};

const declarationSchema = exactObject(
  Object.fromEntries(Object.entries(SPEC_KEYS).map(([key, schema]) => [key, v.optional(schema)])),
  'an object of the function\'s spec',
) as v.GenericSchema<unknown, FunctionDeclaration>;

export interface ParsedDeclarations {
  /** Those that are valid on their own. */
  readonly declarations: ReadonlyMap<string, FunctionDeclaration>;
  /** Names whose declaration is not valid; `problems` say why. */
  readonly invalid: readonly string[];
  readonly problems: readonly Problem[];
}

/** Validates what a spec file exports; `file` names it in messages. */
export function parseDeclarations(raw: unknown, file: string): ParsedDeclarations {
  const declarations = new Map<string, FunctionDeclaration>();
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const expected = 'an object of specs by the functions\' names, as defineFunctions() returns it';
    return { declarations, invalid: [], problems: [{ code: 'CARTON_SPEC_INVALID', place: file, expected, got: show(raw) }] };
  }
  const problems: Problem[] = [];
  const invalid: string[] = [];
  for (const [key, value] of Object.entries(raw)) {
    const checked = check(declarationSchema, value, { file, root: 'functions', keys: [key] }, 'CARTON_SPEC_INVALID');
    if (checked.value === undefined) invalid.push(key);
    else declarations.set(key, checked.value);
    problems.push(...checked.problems);
  }
  return { declarations, invalid, problems };
}

/** All keys of a spec, in the order of the reference. */
export function specKeys(): readonly KeyRow[] {
  const own = describeKeys('', SPEC_KEYS).map((row) => (Object.hasOwn(FUNCTION_LIMITS, row.path) ? { ...row, default: `\`carton.functionDefaults.${row.path}\`` } : row));
  return [...own, ...describeKeys('rateLimit.', RATE_LIMIT_KEYS), ...describeKeys('triggers[].', HTTP_TRIGGER_KEYS), ...describeKeys('triggers[].args[].', VALUE_ARGUMENT_KEYS)];
}

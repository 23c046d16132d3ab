/**
 * The `http` trigger: a method and a path of the function's own, with the arguments taken from path, query, headers
 * and body as its spec says. A path that only another method matches belongs to the application.
 */
import createRouter from 'find-my-way';
import { parse as parseQuery, type ParsedUrlQuery } from 'node:querystring';
import { CartonError } from '../support/errors';
import { ARRAY_PLAN, type ArgumentPlan, type BodyArgument } from '../protocol/oneapi';
import type { ArgumentSource, FunctionSpec, HttpTrigger as HttpTriggerSpec } from '../spec/types';
import type { Match, RequestHead } from './trigger';

/** Characters of one path parameter, and keys of one query; more are no addresses of ours. */
const PARAM_CHARACTERS = 1024;
const QUERY_KEYS = 256;

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
const BODY_METHODS = new Set<string>(['POST', 'PUT', 'PATCH']);

type Params = Readonly<Record<string, string | undefined>>;
type Route = (params: Params) => Match;

export class HttpTrigger {
  readonly #router = createRouter({ caseSensitive: true, maxParamLength: PARAM_CHARACTERS });
  readonly #routes = new Map<unknown, Route>();

  constructor(functions: readonly FunctionSpec[]) {
    for (const spec of functions) {
      for (const trigger of spec.triggers) if (trigger.type === 'http') this.#add(spec, trigger);
    }
  }

  /** Undefined where no function has this method and path, or the path cannot be decoded. */
  match(method: string, path: string): Match | undefined {
    if (this.#routes.size === 0) return undefined;
    const found = this.#router.find((method === 'HEAD' ? 'GET' : method) as 'GET', path);
    return found === null ? undefined : this.#routes.get(found.handler)?.(found.params);
  }

  /** Methods with which functions have this path, for preflight requests. */
  methodsOf(path: string): string[] {
    return METHODS.filter((method) => this.match(method, path) !== undefined).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  }

  #add(spec: FunctionSpec, trigger: HttpTriggerSpec): void {
    // Without `args` the body is an array of arguments, as with `oneapi`; a method without a body has none.
    const isArray = trigger.args === undefined && BODY_METHODS.has(trigger.method);
    const sources = trigger.args ?? [];
    const body = isArray ? 'array' : sources.some((source) => source.from === 'body') ? 'optional' : 'none';
    const methods = trigger.method === 'GET' ? ['GET', 'HEAD'] : [trigger.method];
    // The router hands back the handler that it was given, so that each route needs one of its own.
    const handler = (): undefined => undefined;
    this.#router.on(trigger.method, trigger.path, handler);
    this.#routes.set(handler, (params) => ({
      spec,
      trigger: 'http',
      methods,
      body,
      args: (head) => (isArray ? ARRAY_PLAN : planOf(spec, sources, params, head)),
    }));
  }
}

function planOf(spec: FunctionSpec, sources: readonly ArgumentSource[], params: Params, head: RequestHead): ArgumentPlan {
  const query = head.query === '' ? {} : parseQuery(head.query, '&', '=', { maxKeys: QUERY_KEYS });
  const fromBody: BodyArgument[] = [];
  const values = sources.map((source, index) => {
    if (source.from !== 'body') return convert(spec, source, textOf(source, params, query, head));
    fromBody.push({ index, name: source.name });
    return undefined;
  });
  // JSON has no undefined: what is missing is named, so that default parameters work.
  const missing = values.flatMap((value, index) => (value === undefined ? [index] : []));
  return { kind: 'values', values, missing, fromBody };
}

type NamedSource = Exclude<ArgumentSource, { readonly from: 'body' }>;

function textOf(source: NamedSource, params: Params, query: ParsedUrlQuery, head: RequestHead): string | string[] | undefined {
  switch (source.from) {
    case 'path':
      return params[source.name];
    case 'query':
      return query[source.name];
    case 'header':
      // `carton-*` headers are the platform's own: a caller's are not passed on.
      return source.name.toLowerCase().startsWith('carton-') ? undefined : head.headers[source.name.toLowerCase()];
  }
}

function convert(spec: FunctionSpec, source: NamedSource, text: string | string[] | undefined): unknown {
  if (text === undefined || source.as === undefined || source.as === 'string') return text;
  if (typeof text === 'string') {
    if (source.as === 'boolean' && /^(?:true|false|1|0)$/.test(text)) return text === 'true' || text === '1';
    if (source.as === 'number' && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text);
  }
  throw new CartonError('CARTON_RUNTIME_BAD_ARGUMENT', {
    of: `${source.from} "${source.name}" of function "${spec.name}"`,
    expected: `a ${source.as}`,
    got: JSON.stringify(text).slice(0, 200),
  });
}

/**
 * Describes a booted Egg application: all that its loader has decided, put together or put on it. Runs in the processes
 * that are compared, and never calls what the application put there.
 */
import { describeExtended, describeValue, keyName, type Json } from './describe_value';

interface Layer {
  readonly methods: string[];
  readonly path: unknown;
  readonly name: unknown;
  readonly regexp: unknown;
  readonly paramNames: unknown;
  readonly opts: unknown;
  readonly stack: readonly object[];
}

interface Loader extends Record<string, unknown> {
  readonly allPlugins: unknown;
  readonly orderPlugins: readonly { name: string }[];
  readonly lookupDirs: Set<string>;
  getLoadUnits(): unknown;
  getTypeFiles(name: string): unknown;
}

export interface DescribedApplication extends Record<string, unknown> {
  readonly config: Record<string, unknown>;
  readonly loader: Loader;
  readonly context: object;
  readonly request: object;
  readonly response: object;
  readonly Helper: { readonly prototype: object };
  readonly middleware: readonly { _name?: string; name: string }[];
  readonly middlewares: object;
  readonly serviceClasses: object;
  readonly controller: unknown;
  readonly router: { readonly stack: readonly Layer[]; readonly opts: unknown };
  readonly timing: { toJSON(): readonly { name: string }[] };
}

type Tree = Record<string | symbol, unknown>;

/** What FileLoader makes of a directory: names, and for each what was loaded with the marks that the loader left on it. */
function describeTree(value: unknown, depth = 0): Json {
  if (typeof value === 'function') {
    const prototype = (value as { prototype?: Tree }).prototype;
    return {
      function: String(value), name: value.name, marks: describeMarks(value as unknown as Tree),
      pathName: describeValue(prototype?.['pathName']), fullPath: describeValue(prototype?.['fullPath']),
      methods: prototype === undefined ? [] : Reflect.ownKeys(prototype).map(keyName),
    };
  }
  if (typeof value !== 'object' || value === null || depth > 8 || Object.getPrototypeOf(value) !== Object.prototype) return describeValue(value);
  const entries = Object.entries(value).map(([name, item]) => [name, describeTree(item, depth + 1)] as const);
  return { entries: Object.fromEntries(entries), order: Object.keys(value), marks: describeMarks(value as Tree) };
}

function describeMarks(value: Tree): Json {
  return Object.fromEntries(Object.getOwnPropertySymbols(value).map((symbol) => [keyName(symbol), describeValue(value[symbol])]));
}

function describeLoader({ loader }: DescribedApplication): Json {
  const parts = ['serverEnv', 'serverScope', 'eggPaths', 'appInfo', 'pkg', 'configMeta', 'eggPlugins', 'appPlugins', 'customPlugins'];
  return {
    class: classChain(loader),
    ...Object.fromEntries(parts.map((name) => [name, describeValue(loader[name])])),
    units: describeValue(loader.getLoadUnits()),
    typeFiles: describeValue(loader.getTypeFiles('config')),
    lookupDirs: describeValue(loader.lookupDirs),
    // Shared references would hide in which plugin a list stands, so each is described by itself.
    plugins: Object.fromEntries(Object.entries(loader.allPlugins as object).map(([name, plugin]) => [name, describeValue(plugin)])),
    pluginNames: Object.keys(loader.allPlugins as object),
    pluginOrder: loader.orderPlugins.map(({ name }) => name),
  };
}

function classChain(object: object): string[] {
  const names: string[] = [];
  for (let at: unknown = Object.getPrototypeOf(object); at !== null; at = Object.getPrototypeOf(at)) names.push((at as object).constructor.name);
  return names;
}

function describeRouter({ router }: DescribedApplication): Json {
  const stack = router.stack.map((layer) => ({
    methods: layer.methods, path: describeValue(layer.path), name: describeValue(layer.name), regexp: String(layer.regexp),
    params: describeValue(layer.paramNames), opts: describeValue(layer.opts),
    // Of what runs on a route: its name, and the loader's mark that says where it comes from.
    stack: layer.stack.map((part) => [(part as { name: string }).name, describeMarks(part as Tree)]),
  }));
  return { stack, opts: describeValue(router.opts) };
}

/** Custom loaders' results on the application, and the classes of those that are made per context. */
function describeCustomLoaders(app: DescribedApplication): Json {
  const custom = Object.keys((app.config['customLoader'] as object | undefined) ?? {});
  return Object.fromEntries(custom.flatMap((name) => [name, `${name}Classes`]).map((name) => [name, describeTree(app[name])]));
}

/** What applications and agents have in common. */
export function describeCommon(app: DescribedApplication): { [key: string]: Json } {
  return {
    class: classChain(app),
    loader: describeLoader(app),
    config: describeValue(app.config),
    app: describeExtended(app),
    context: describeExtended(app.context),
    // What egg's loader has loaded, file by file in its order.
    loads: app.timing.toJSON().map(({ name }) => name.replaceAll(String(process.pid), '<pid>')),
  };
}

export function describeApplication(app: DescribedApplication, role: 'function' | 'host'): Json {
  return {
    ...describeCommon(app),
    request: describeExtended(app.request),
    response: describeExtended(app.response),
    helper: describeExtended(app.Helper.prototype),
    services: describeTree(app.serviceClasses),
    custom: describeCustomLoaders(app),
    middleware: app.middleware.map((one) => [one._name ?? '', one.name, String(one)]),
    middlewares: describeTree(app.middlewares),
    // A function process has neither; asking for the router would make one.
    controller: role === 'host' ? describeTree(app.controller) : null,
    router: role === 'host' ? describeRouter(app) : null,
  };
}

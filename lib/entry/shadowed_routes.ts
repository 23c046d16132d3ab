/**
 * Finds the routes of the application that no request reaches any more because a function answers at their address.
 */
import { CartonError } from '../support/errors';
import type { HostEnvironment } from '../support/host_environment';
import type { FunctionSpec } from '../spec/types';

/** Of Egg's router: its layers, and the path that each matches. */
export interface EggRouter {
  readonly stack?: readonly { readonly path: string | RegExp; readonly regexp?: RegExp; readonly methods: readonly string[] }[];
}

/** A parameter's stand-in when a path of ours is tried against a route's pattern. */
const SAMPLE = 'x';

interface Address {
  /** What the warning names. */
  readonly owner: string;
  readonly method: string;
  readonly path: string;
}

type Layer = NonNullable<EggRouter['stack']>[number];

/** Logs one warning per shadowed route. */
export function reportShadowed(functions: readonly FunctionSpec[], router: EggRouter, environment: HostEnvironment): void {
  const prefix = environment.config.ingress.oneapiPath;
  const addresses = functions.flatMap((spec) => addressesOf(spec, prefix));
  for (const layer of router.stack ?? []) {
    const shadow = addresses.find((address) => hides(address, layer)) ?? belowPrefix(layer, prefix);
    if (shadow === undefined) continue;
    const error = new CartonError('CARTON_INGRESS_ROUTE_SHADOWED', {
      of: shadow.owner,
      expected: 'a path of its own',
      got: `${shadow.method} ${shadow.path}, which the route ${String(layer.path)} matches`,
    });
    environment.log.warn(`${error.code} ${error.message}`);
  }
}

function hides({ method, path }: Address, layer: Layer): boolean {
  return layer.methods.includes(method) && (layer.path === path || layer.regexp?.test(path.replace(/:\w+/g, SAMPLE)) === true);
}

/** Nothing below the prefix reaches the application, whether a function has the name or not. */
function belowPrefix(layer: Layer, prefix: string): Address | undefined {
  const [method] = layer.methods;
  if (typeof layer.path !== 'string' || !layer.path.startsWith(prefix) || method === undefined) return undefined;
  return { owner: 'carton.ingress.oneapiPath', method: layer.methods.join('|'), path: `${prefix}…` };
}

function addressesOf(spec: FunctionSpec, prefix: string): Address[] {
  const owner = `function "${spec.name}"`;
  return spec.triggers.map((trigger) =>
    trigger.type === 'http' ? { owner, method: trigger.method, path: trigger.path } : { owner, method: 'POST', path: prefix + spec.name },
  );
}

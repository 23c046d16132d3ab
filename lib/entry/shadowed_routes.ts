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

/** Logs one warning per shadowed route. */
export function reportShadowed(functions: readonly FunctionSpec[], router: EggRouter, environment: HostEnvironment): void {
  for (const layer of router.stack ?? []) {
    const address = functions.flatMap((spec) => addressesOf(spec, environment.config.ingress.oneapiPath)).find(({ method, path }) => {
      return layer.methods.includes(method) && (layer.path === path || layer.regexp?.test(path.replace(/:\w+/g, SAMPLE)) === true);
    });
    if (address === undefined) continue;
    environment.log.warn(
      new CartonError('CARTON_INGRESS_ROUTE_SHADOWED', {
        of: `function "${address.function}"`,
        expected: 'a path of its own',
        got: `${address.method} ${address.path}, which the route ${String(layer.path)} matches`,
      }).message,
    );
  }
}

function addressesOf(spec: FunctionSpec, prefix: string): { function: string; method: string; path: string }[] {
  return spec.triggers.map((trigger) =>
    trigger.type === 'http'
      ? { function: spec.name, method: trigger.method, path: trigger.path }
      : { function: spec.name, method: 'POST', path: prefix + spec.name },
  );
}

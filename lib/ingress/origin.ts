/**
 * Who may call from a browser: the origin check (against forged requests from foreign pages) and CORS. Egg's own
 * security plugin never sees function requests, so the ingress answers for both.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CartonError } from '../support/errors';
import type { CorsConfig, IngressConfig } from '../support/host_environment';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Throws `CARTON_INGRESS_ORIGIN_REFUSED` for a request that a foreign page made. Browsers name the origin of every
 * request that may change something; what has neither `Origin` nor `Sec-Fetch-Site` comes from no page.
 */
export function checkOrigin(config: IngressConfig, method: string, headers: IncomingHttpHeaders): void {
  if (!config.originCheck || SAFE_METHODS.has(method)) return;
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (origin === undefined) {
    if (site === undefined || site === 'same-origin' || site === 'none') return;
  } else if (isSameOrigin(origin, headers.host) || config.allowedOrigins.includes(origin) || allows(config.cors, origin)) {
    return;
  }
  throw new CartonError('CARTON_INGRESS_ORIGIN_REFUSED', {
    expected: 'the same origin, or one of carton.ingress.allowedOrigins',
    got: origin ?? `Sec-Fetch-Site: ${String(site)}`,
  });
}

/** Headers that an answer carries so that a page of an allowed origin may read it. */
export function corsHeaders(cors: CorsConfig | null, headers: IncomingHttpHeaders): string[] {
  if (cors === null) return [];
  const { origin } = headers;
  if (origin === undefined || !allows(cors, origin)) return ['vary', 'Origin'];
  const answer = ['vary', 'Origin', 'access-control-allow-origin', cors.credentials || !cors.origins.includes('*') ? origin : '*'];
  if (cors.credentials) answer.push('access-control-allow-credentials', 'true');
  return answer;
}

/** The answer to a preflight request, or undefined where the request is none or CORS is off. */
export function preflight(cors: CorsConfig | null, method: string, headers: IncomingHttpHeaders, methods: readonly string[]): string[] | undefined {
  if (cors === null || method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return undefined;
  const answer = corsHeaders(cors, headers);
  if (!answer.includes('access-control-allow-origin')) return answer;
  answer.push('access-control-allow-methods', methods.join(', '));
  answer.push('access-control-allow-headers', cors.allowedHeaders.join(', '));
  answer.push('access-control-max-age', String(cors.maxAgeSeconds));
  return answer;
}

function allows(cors: CorsConfig | null, origin: string): boolean {
  return cors !== null && (cors.origins.includes(origin) || (cors.origins.includes('*') && !cors.credentials));
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}

/**
 * Who may call from a browser: the origin check (against forged requests from foreign pages) and CORS. Egg's own
 * security plugin never sees function requests, so the ingress answers for both.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CartonError } from '../support/errors';
import type { CorsConfig, IngressConfig } from '../support/host_environment';

/** Characters of a refused origin that the error repeats. */
const ORIGIN_CHARACTERS = 200;

const NONE: readonly string[] = Object.freeze([]);
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Throws `CARTON_INGRESS_ORIGIN_REFUSED` for a request that a foreign page made. Browsers name the origin of every
 * request that may change something; what has neither `Origin` nor `Sec-Fetch-Site` comes from no page. CORS is no
 * part of it: that a page may read answers does not mean that it may act with its visitor's cookies.
 */
export function checkOrigin(config: IngressConfig, method: string, headers: IncomingHttpHeaders): void {
  if (!config.originCheck || SAFE_METHODS.has(method)) return;
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (origin === undefined) {
    if (site === undefined || site === 'same-origin' || site === 'none') return;
  } else if (isSameOrigin(origin, headers.host) || config.allowedOrigins.includes(origin)) {
    return;
  }
  throw new CartonError('CARTON_INGRESS_ORIGIN_REFUSED', {
    expected: 'the same origin, or one of carton.ingress.allowedOrigins',
    got: origin === undefined ? `Sec-Fetch-Site: ${String(site)}` : JSON.stringify(origin.slice(0, ORIGIN_CHARACTERS)),
  });
}

/** Headers that an answer carries so that a page of an allowed origin may read it, with the one that says when to retry. */
export function corsHeaders(cors: CorsConfig | null, headers: IncomingHttpHeaders): readonly string[] {
  if (cors === null) return NONE;
  const { origin } = headers;
  if (origin === undefined || !allows(cors, origin)) return ['vary', 'Origin'];
  return [...originHeaders(cors, origin), 'access-control-expose-headers', 'retry-after'];
}

/** Whether a browser asks for permission before it sends the request itself. */
export function isPreflight(headers: IncomingHttpHeaders): boolean {
  return headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** The answer to a preflight request; a page of an origin that is not allowed finds no permission in it. */
export function preflightHeaders(cors: CorsConfig, headers: IncomingHttpHeaders, methods: readonly string[]): string[] {
  const { origin } = headers;
  if (origin === undefined || !allows(cors, origin)) return ['vary', 'Origin'];
  return [
    ...originHeaders(cors, origin),
    'access-control-allow-methods', methods.join(', '),
    // Arguments are JSON, which no page may send without asking.
    'access-control-allow-headers', ['content-type', ...cors.allowedHeaders].join(', '),
    'access-control-max-age', String(cors.maxAgeSeconds),
  ];
}

function originHeaders(cors: CorsConfig, origin: string): string[] {
  const answer = ['vary', 'Origin', 'access-control-allow-origin', cors.origins.includes('*') ? '*' : origin];
  if (cors.credentials) answer.push('access-control-allow-credentials', 'true');
  return answer;
}

function allows(cors: CorsConfig, origin: string): boolean {
  return cors.origins.includes(origin) || cors.origins.includes('*');
}

/** Behind a proxy that ends TLS nobody here knows the scheme, so hosts are compared. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  if (origin === `https://${host}` || origin === `http://${host}`) return true;
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

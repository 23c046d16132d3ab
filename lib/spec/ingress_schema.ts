/**
 * The part of the configuration's schema that is about requests: `carton.ingress` and its CORS settings. Runs at boot.
 */
import * as v from 'valibot';
import { boolean, documented, exactObject, integer, list, text } from './checks';

const MAX_ORIGINS = 1_000;
const MAX_HEADERS = 100;

const ORIGIN = 'an origin such as "https://shop.example"';
const PREFIX = 'a path that begins and ends with "/", such as "/oneapi/"';

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}

function isPrefix(value: string): boolean {
  return /^\/(?:[\w.~-]+\/)+$/.test(value) && !value.split('/').some((segment) => segment === '.' || segment === '..');
}

export const CORS_KEYS = {
  origins: documented(list(text((value) => value === '*' || isOrigin(value), `${ORIGIN} or "*"`), 'origins, or "*" for any', MAX_ORIGINS), {
    description: 'Origins whose pages may read the answers.',
    unit: '',
    default: undefined,
    effect: 'Others get an answer without CORS headers, which their browser keeps from them.',
  }),
  credentials: documented(v.optional(boolean(), false), {
    description: 'Whether these pages may send cookies; not together with "*".',
    unit: '',
    default: false,
    effect: 'Without it browsers call as nobody.',
  }),
  maxAgeSeconds: documented(v.optional(integer(0, 86_400), 600), {
    description: 'How long a browser may keep the answer to a preflight request; 0 asks each time.',
    unit: 'seconds',
    default: 600,
    effect: 'Browsers have limits of their own below it.',
  }),
  allowedHeaders: documented(v.optional(list(text((value) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(value), 'the name of a header'), 'names of headers', MAX_HEADERS), () => []), {
    description: 'Headers that these pages may send besides those that CORS always allows and `content-type`.',
    unit: '',
    default: [],
    effect: 'A preflight request that asks for others is answered without them.',
  }),
};

export const INGRESS_KEYS = {
  enable: documented(boolean(), {
    description: 'Whether this host takes requests for functions at all.',
    unit: '',
    default: true,
    effect: 'When false, every request goes on to the application.',
  }),
  oneapiPath: documented(text(isPrefix, PREFIX), {
    description: 'Prefix of the paths of functions with the `oneapi` trigger: `<oneapiPath><name>`.',
    unit: '',
    default: '/oneapi/',
    effect: 'A name below it that no function has gets CARTON_INGRESS_UNKNOWN_FUNCTION (404).',
  }),
  allowedOrigins: documented(list(text(isOrigin, ORIGIN), 'origins', MAX_ORIGINS), {
    description: 'Origins besides the host\'s own whose pages may call functions.',
    unit: '',
    default: [],
    effect: 'See `ingress.originCheck`.',
  }),
  originCheck: documented(boolean(), {
    description: 'Whether requests from pages of other origins are refused, which keeps foreign pages from calling with a user\'s cookies.',
    unit: '',
    default: true,
    effect: 'A request from another origin gets CARTON_INGRESS_ORIGIN_REFUSED (403).',
  }),
  cors: documented(v.nullable(exactObject(CORS_KEYS, 'null or an object of CORS settings')), {
    description: 'CORS headers for functions; null sends none. Where it lists an origin, `allowedOrigins` must list it, too, for its requests to pass.',
    unit: '',
    default: null,
    effect: 'See `ingress.cors.origins`.',
  }),
  accessLog: documented(boolean(), {
    description: 'Whether each invocation is a line in `carton-access.log` of the application\'s log directory.',
    unit: '',
    default: false,
    effect: 'The file is there in any case, because Egg opens the files of all its loggers at boot.',
  }),
};

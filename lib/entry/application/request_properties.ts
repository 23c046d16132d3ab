/**
 * The properties of an Egg context that only an HTTP request gives it. A function's context names them in an error
 * instead of answering with an undefined or a made-up value. Data only.
 *
 * Drawn from koa 2.16 `lib/context.js` (its delegates to request and response), egg 3.34 and 4.0
 * `app/extend/context`, and the context extends of the plugins that Egg enables by itself. `throw` and `assert` are
 * not here: they need no request.
 */
const KOA = [
  'request', 'response', 'req', 'res', 'originalUrl', 'respond', 'onerror', 'cookies', 'socket', 'writable', 'headerSent',
  'attachment', 'redirect', 'back', 'remove', 'vary', 'has', 'set', 'append', 'flushHeaders',
  'status', 'message', 'body', 'length', 'type', 'lastModified', 'etag',
  'acceptsLanguages', 'acceptsEncodings', 'acceptsCharsets', 'accepts', 'accept', 'get', 'is',
  'querystring', 'idempotent', 'search', 'method', 'query', 'path', 'url', 'origin', 'href', 'subdomains', 'protocol',
  'host', 'hostname', 'URL', 'header', 'headers', 'secure', 'stale', 'fresh', 'ips', 'ip',
];

const ROUTER = ['params', 'captures', 'matched', 'router', 'routerName', 'routerPath', '_matchedRoute', '_matchedRouteName'];

const EGG = ['acceptJSON', 'queries', 'realStatus'];

const PLUGINS = [
  // session
  'session', 'sessionOptions', 'saveSession',
  // security
  'csrf', 'ensureCsrfSecret', 'rotateCsrfSecret', 'assertCsrf', 'unsafeRedirect',
  // multipart
  'multipart', 'getFileStream', 'saveRequestFiles', 'cleanupRequestFiles',
  // jsonp
  'acceptJSONP', 'createJsonpBody', 'jsonpFunction',
  // view: `render` writes the body; `renderView` and `renderString` return what they rendered and work
  'render',
];

export const REQUEST_PROPERTIES: readonly string[] = Object.freeze([...KOA, ...ROUTER, ...EGG, ...PLUGINS]);

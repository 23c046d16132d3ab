/**
 * Which bodies the ingress passes on: JSON in UTF-8, not compressed. Only instances parse them.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CartonError } from '../support/errors';

const JSON_TYPE = 'application/json';
/** Also types such as `application/problem+json`; of the parameters only the charset matters. */
const JSON_MEDIA = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i;

/** Throws `CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE`. */
export function checkMediaType(headers: IncomingHttpHeaders): void {
  const type = headers['content-type'];
  if (type !== JSON_TYPE && !isJson(type)) {
    throw new CartonError('CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE', { expected: 'application/json in UTF-8', got: type ?? 'no content type' });
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new CartonError('CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE', { expected: 'a body without content encoding', got: encoding });
  }
}

/** Whether a body follows; it may still be empty. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function isJson(type: string | undefined): boolean {
  if (type === undefined || !JSON_MEDIA.test(type)) return false;
  const charset = CHARSET.exec(type)?.[1];
  return charset === undefined || /^utf-?8$/i.test(charset);
}
